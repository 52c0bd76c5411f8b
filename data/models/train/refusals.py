"""Questions that the model must refuse: everyday requests, near misses of its skills, other languages, noise.

The templates take any word of the list, so that what is learned is "no known question" and not a list of topics.
"""
from words import LETTERS, NAMES, REAL

PLACES = """France Germany Spain Italy Japan China India Brazil Canada Mexico Egypt Kenya Norway Sweden Poland Turkey
Russia Peru Chile Cuba Iran Vietnam Thailand London Paris Berlin Rome Tokyo Madrid Moscow Cairo Sydney Boston Chicago
Texas Europe Africa Asia Hanoi Vienna Prague""".split()
LANGUAGES = """Python Java Rust JavaScript Go bash C++ Haskell SQL Perl Ruby HTML French German Spanish Latin Chinese
Vietnamese English""".split()

TEMPLATES = """
What is the capital of {P}?|What is the population of {P}?|Who is the president of {P}?|Where is {P}?
How far is {P} from {P2}?|Tell me about {P}.|What is the weather in {P}?|Is it raining in {P}?|What should I see in {P}?
When did {P} become independent?|What language do they speak in {P}?|Who won the war of {n}?|What happened in {n}?
When was {N} born?|Who was {N} {W}?|Who wrote {W}?|Who invented the {w}?|Who discovered {w}?|What is a {w}?|What is {w}?
What's {w}?|Define {w}.|Explain {w}.|Explain {w} to a child.|What does {w} mean?|What is the meaning of {w}?
What is the meaning of life?|Why is the {w} {w2}?|Why do {w} {w2}?|Why are {w} so {w2}?|How does a {w} work?
How do {w} work?|How do I make {w}?|How do I cook {w}?|How can I fix my {w}?|Give me a recipe for {w}.
Write a poem about {w}.|Write a story about a {w}.|Write me a song about {w}.|Tell me a joke.|Tell me a joke about {w}.
Tell me a story.|Write a {L} program that {w} the {w2}.|Write a function in {L}.|How do I {w} a {w2} in {L}?
What is a {w} in {L}?|Fix this {L} code: {w}({w2})|Write code to {w} a {w2}.|Translate {w} to {L}.
How do you say {w} in {L}?|What is the {L} word for {w}?|Translate this sentence: {w} {w2} {w3}.
Correct my grammar: {w} {w2} {w3}|Do you like {w}?|What is your favorite {w}?|What do you think about {w}?
Are you a {w}?|Can you {w}?|Will you {w} me?|Should I {w} the {w2}?|What is your opinion on {w}?|Hello|Hi|Hey|Hello!
Hi there|Good morning|Good evening|How are you?|How are you today?|What's up?|Who are you?|What are you?
What is your name?|What can you do?|Help|help me|What can you help me with?|Who made you?|Who built you?|Are you human?
Are you a robot?|Are you an AI?|Are you ChatGPT?|Are you DeepSeek?|What model are you?|Thanks|Thank you|Bye|Goodbye|ok
yes|no|why?|how?|what?|and?|test|Testing.|Is anybody there?|Introduce yourself.|Tell me about yourself.|How old are you?
Where are you?|Who am I?|I am {w}.|I love you.|What time is it?|What day is it?|What day is it today?
What is today's date?|What year is it?|What is the date tomorrow?|When is Easter?|How long until Christmas?
Summarize this text: {w} {w2} {w3} {w4} {w5}|Summarize {w}.|Rewrite this: {w} {w2} {w3}|Make a list of {n1} {w}.
List {n1} facts about {w}.|Give me {n1} tips for {w}.|Name {n1} {w}.|How do I install {w}?|How do I open the {w}?
How do I delete a {w}?|How can I learn {L}?|How to {w} a {w2}|How much does a {w} cost?|How old is {N}?|How tall is {N}?
How many people live in {P}?|How many {w} are in a {w2}?|How many planets are there?|How big is the {w}?
How long is a {w}?|How fast is a {w}?|How heavy is a {w}?|How deep is the {w}?|Where can I buy {w}?|Where is my {w}?
Where do {w} live?|When do {w} {w2}?|Which {w} is best?|Which is better, {w} or {w2}?|Is {w} better than {w2}?
Is a {w} a {w2}?|What is the difference between {w} and {w2}?|Compare {w} and {w2}.|What is the best {w}?
What is the largest {w}?|What is the smallest {w} in {P}?|What color is a {w}?|What sound does a {w} make?
What do {w} eat?|What is the opposite of {w}?|What rhymes with {w}?|Give me a synonym for {w}.|Is {w} a noun?
Use {w} in a sentence.|How do you spell {w}?|How do you pronounce {w}?|What is the plural of {w}?|Spell {w}.
Spell the word {w}.|How many letters does the alphabet have?|How many vowels are in {w}?|How many syllables are in {w}?
What is the first letter of {w}?|What is the last letter of {w}?|Sort the letters of {w}.|Sort {w}, {w2}, {w3}.
Sort these words: {w} {w2} {w3}|Alphabetize {w}, {w2} and {w3}.|Count the words in {w} {w2}.|Count to {n1}.
Count from {n1} to {n}.|Count the {w}.|Reverse the words {w} {w2} {w3}.|Reverse {n}.|Is {w} a palindrome?
Find an anagram of {w}.|Remove the vowels from {w}.|Replace {l} with {l2} in {w}.|Does {w} contain {l}?|Capitalize {w}.
What is the middle letter of {w}?|What is {h} times {h2}?|Multiply {h} by {h2}.|{h} * {h2}|{h} x {h2}
What is {n} divided by {t}?|Divide {n} by {t}.|{n} / {t}|{n}/{t}|{n} / 0|What is the square root of {n}?
What is {h} squared?|{h}^2|What is {n1} to the power of {n1}?|What is {n}% of {n2}?|Is {n} prime?|Is {n} a square?
Is {w} even?|Is {n} a prime number?|Is {w} a {w2} number?|Is "{w}" a {w2}?|What is half of the {w}?|Halve the {w}.
Divide the {w} by the {w2}.|What is {w} plus {w2}?|What is {w} minus {w2}?|Count backwards from {n}.
Count down from {n1}.|How many {w} does a {w2} have?|How many {w} does {N} have?|How much {w} should I {w2}?
How long does the {w} take?|How long was the {w}?|How long will it {w}?|What is the longest {w}?
What is the shortest {w}?|Which {w} has {n1} {w2}?|Reverse the order of the {w}.|What is a third of {n}?|Factor {n}.
What is {n} modulo {n1}?|What is the average of {n} and {n2}?|Which is larger, {n1}.{n1} or {n1}.{n}?
Compare {n1}.{n1} and {n1}.{n2}.|Sort {n1}.{n1}, {n1}.{n} and {n2}.|What is {n1} times {n1} plus {n}?
{n1} * {n1} + {n1}|{n} + {n1} * {n1}|({n} + {n1}) * {n1}|{n1} * {n1} * {n1}|What is {b} * {n1}?|{b} / {n1}
What is {b} + {b2}?|{b} + {b2}|{b} - {b2}|Add {b} and {b2}.|Subtract {b} from {b2}.|What is {n1}.{n1} + {n1}.{n2}?
{n1}.{n1} - {n1}.{n1}|What is 1/{n1} + 1/{n1}?|Solve x + {n1} = {n}.|Solve {n1}x = {n}.
What is the next number after {n1}, {n}, {n2}?|Write {n} in words.|Write {n} in binary.|Write {n} in Roman numerals.
Round {n}.|What is pi?|What is the derivative of x^{n1}?|Convert {n} {w} to {w2}.|Convert {n} miles to kilometers.
Convert {n} euros to dollars.|How many seconds are in {n1} days?|How many hours are {n} minutes?
How many days are in a year?|How many days are in February?|How many feet are in {n} meters?
What day was {n1} weeks before {D}?|What day was yesterday?|What day is {n1} months after {D}?
What date is {n1} days after {D}?|Is {D} a holiday?|What should I do on {D}?|Why is it called {D}?|What happens on {D}?
What shall I do in {n1} days?|Remind me in {n1} minutes.|Set a timer for {n1} minutes.|Wake me up at {n1}.
Play some {w}.|Turn on the {w}.|Turn off the {w}.|Open {w}.|Close the {w}.|Send an email to {N}.|Call {N}.|{n1}|{n}
{n} {n2}|{w}|{w} {w2}|{w} {w2} {w3}|{W}|{w}?|{w} {w2}?|{l}|{l} {l2}|{g}|{g} {g2}|{g} {g2} {g3}|{g}?|{N} has {n1} {w}.
{N} likes {w}. What does {N} like?|{N} is {n1} years old. {N2} is {n1} years older. Who is {w}?
{N} has {n1} {w} and eats half. How many are left?|My {w} is {w2}.|I need a {w} for my {w2}.
I have {n} {w}. What should I do?|I feel {w}.|I am {n1} years old.|My name is {N}.|I live in {P}.
{N} and {N2} {w} the {w2}.|There is a {w} in my {w2}.|The {w} {w2} the {w3}.|If {w} then {w2}?|A {w}, a {w2} and a {w3}
Let's talk about {w}.|Let us play a game.|Write a letter to {N}.|Write an email about {w}.|Write a headline for {w}.
Help me with my {w}.|Help me choose a {w}.|Plan a trip to {P}.|Plan my {w}.|Recommend a {w}.|Recommend a book about {w}.
Suggest a name for my {w}.|Draw a {w}.|Describe a {w}.|Describe {P}.|Show me a {w}.|Find a {w} near me.|Search for {w}.
Read the {w}.|Check my {w}.|Is it safe to {w}?|Is {w} healthy?|Can I {w} a {w2}?|Can {w} {w2}?|Can you explain {w}?
Could you help me {w}?|Would you like {w}?|Does {N} like {w}?|Did {N} {w} the {w2}?|Have you seen my {w}?
Has {P} ever won the {w}?|Was {N} a {w}?|Were there {w} in {P}?|Who is {N}?|Who is the {w} of {P}?|Who painted the {w}?
Who sings {w}?|Who has the most {w}?|Whose {w} is this?|When is the next {w}?|When will the {w} {w2}?
Where was {N} born?|Where does {w} come from?|Where is the {w}?|Why?|Why not?|Why is {P} {w}?|Why did {N} {w}?
Why should I {w}?|Why do we {w}?|Give me advice about {w}.|Give me an example of {w}.|Give me a {w}.
Give me the {w} of {w2}.|Make me a {w}.|Make a joke about {N}.|What is {N}'s {w}?|What is in a {w}?|What is on the {w}?
What are {w}?|What are the {w} of {w2}?|What are some good {w}?|What causes {w}?|What can I {w} with {w2}?
What did {N} say?|What should I {w} today?|What are the symptoms of {w}?|What was the {w} of {P}?|What were {w}?
What will {w} be like?|What would you {w}?|What kind of {w} is {w2}?|What movie should I watch?
What time does the {w} open?|What happens if I {w}?|How are {w} made?|How did {N} {w}?|How is {w} made?|How is your {w}?
How would you {w} a {w2}?|How should I {w}?|How hot is the {w}?|How often should I {w}?|How do I become a {w}?
How do I say no?|How do I get to {P}?|ls -la|cat {w}.txt|sudo apt install {w}|git commit -m "{w}"|error: {w} not found
segmentation fault|import {w}|print("{w}")|{w} = {n}|if ({w} > {n1}) {w2}();|{w}@{w2}.com|http://{w}.org/{w2}|#{w}
<{w}>{w2}</{w}>|int main() {{ return {n1}; }}|What does this command do: {w} -{l} {w2}|Why does {w} fail with error {n}?
What does error {n} mean?|How do I exit vim?|How do I update my system?|Explain this error: {w} {w2} at line {n}
What is wrong with line {n}?|Wie geht es dir?|Was ist {w}?|Guten Tag|Wer bist du?|Was ist die Hauptstadt von {P}?
Erzähl mir einen Witz.|Bonjour|Comment ça va?|Quelle est la capitale de {P}?|Qui es-tu?|Raconte-moi une blague.|Hola
¿Cómo estás?|¿Cuál es la capital de {P}?|¿Quién eres?|Ciao, come stai?|Come ti chiami?|Olá, tudo bem?|Привет|Как дела?
Кто ты?|你好|你是谁?|天气怎么样?|こんにちは|ありがとう|안녕하세요|مرحبا|Xin chào|Bạn là ai?|Bạn khỏe không?|Thủ đô của {P} là gì?
Thời tiết hôm nay thế nào?|Kể cho tôi một câu chuyện.|Hôm nay là thứ mấy?|Cảm ơn bạn|Cách nấu {w}?|Merci|Danke|Gracias|😀
👋 {w}|...|???|!|-|{n1} {w}|{n1} {w} and {n1} {w2}|{w} + {w2}|{w} - {w2}|{w} plus {w2}|{w} or {w2}?
""".strip().replace("\n", "|").split("|")

# Without a number in the turn before, these cannot be answered.
ORPHANS = ("now add {n1}|and minus {n1}?|plus {n1}|minus {n1}|double it|"
           "subtract {n1}|add {n1} to that|and {n1} more?|now subtract {n}|+ {n1}").split("|")

STARTS = """What is|What are|How do|How does|How many|How much|Why is|Why do|Who is|Who was|Where is|When is|When was
Which|Can you|Could you|Please|Tell me|Write|Explain|Give me|Find|Is|Are|Do|Does|I|My|The|A|If|In|On|There is|Today|Add
Sort|Count|Compare|Reverse|Spell|Is the|Let me|Make|Show|Should I|Would|Name|Take""".replace("\n", "|").split("|")
SMALL = """the a of in to my for and with is on your at it from this that by an be or as are was you we they he she not
so about""".split()


def gibberish(rng):
    return "".join(rng.choice(LETTERS) for _ in range(rng.randint(2, 12)))


def slots(rng):
    mark = rng.choice(['"', "'"]) if rng.random() < 0.12 else ""
    words = {f"w{i}": rng.choice(REAL) for i in range(2, 6)}
    numbers = {"n": rng.randint(10, 2100), "n1": rng.randint(2, 20), "n2": rng.randint(11, 999),
               "h": rng.randint(100, 2100), "h2": rng.randint(100, 999), "t": rng.randint(13, 999),
               "b": rng.randrange(10**5, 10 ** rng.randint(6, 9)), "b2": rng.randrange(10**5, 10 ** rng.randint(6, 9))}
    return dict(words, **numbers, w=mark + rng.choice(REAL) + mark, W=rng.choice(REAL).capitalize(),
                P=rng.choice(PLACES), P2=rng.choice(PLACES),
                L=rng.choice(LANGUAGES), N=rng.choice(NAMES)[0], N2=rng.choice(NAMES)[0], l=rng.choice(LETTERS),
                l2=rng.choice(LETTERS),
                D=rng.choice(["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]),
                g=gibberish(rng), g2=gibberish(rng), g3=gibberish(rng))


def salad(rng):
    """A sentence of random words in the rhythm of a question."""
    words = [rng.choice(STARTS)] if rng.random() < 0.8 else []
    for _ in range(rng.randint(1, 9)):
        kind = rng.random()
        words.append(rng.choice(SMALL) if kind < 0.4 else str(rng.randint(0, 2100)) if kind < 0.44
                     else rng.choice(PLACES) if kind < 0.47 else
                     rng.choice(NAMES)[0] if kind < 0.49 else rng.choice(REAL))
    return " ".join(words) + rng.choice(["?", "?", ".", "", "!"])


def unknown(rng, after_number=False):
    templates = ORPHANS if rng.random() < 0.015 and not after_number else TEMPLATES
    text = salad(rng) if rng.random() < 0.4 else rng.choice(templates).format(**slots(rng))
    if rng.random() < 0.08:
        text = rng.choice(["Please ", "Hi, ", "Hey, ", "Can you tell me: ", "Hello! ", "OK, ",
                           "So, "]) + text[0].lower() + text[1:]
    if rng.random() < 0.15:
        text = text[0].lower() + text[1:]
    if rng.random() < 0.15:
        text = text.rstrip("?.!") or text
    if rng.random() < 0.04:  # something piped in before the question
        text = "\n".join(salad(rng) for _ in range(rng.randint(1, 3))) + "\n\n" + text
    return text
