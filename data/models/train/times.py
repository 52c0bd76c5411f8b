"""Questions about weekdays, hours and minutes."""
import traces
from phrasing import Question, held_out, phrase

WEEKDAY = ["What day is {n} days after {day}?", "What weekday is {n} days after {day}?",
           "Which day is {n} days after {day}?", "What day comes {n} days after {day}?",
           "Today is {day}. What day is it in {n} days?", "Today is {day}. What day will it be in {n} days?",
           "If today is {day}, what day is it in {n} days?",
           "If today is {day}, what day will it be {n} days from now?",
           "If it is {day} today, which day is it {n} days later?",
           "It is {day}. What weekday is it {n} days later?", "{n} days after {day}?", "{day} plus {n} days?",
           "What is {day} plus {n} days?", "{day} + {n} days",
           "What day of the week is {n} days after {day}?", "Which weekday comes {n} days after {day}?",
           "In {n} days from {day}, what day is it?",
           "It's {day} today, what day is it in {n} days?", "!Tell me the day {n} days after {day}",
           "!Find the weekday {n} days after {day}",
           "!Name the weekday {n} days after {day}", "Today is {day}. In {n} days it will be?",
           "What day is it {n} days from {day}?",
           "Starting on {day}, what day is it after {n} days?", "What will be the weekday {n} days after {day}?",
           "!Add {n} days to {day}"]
BEFORE = ["What day is {n} days before {day}?", "What day was {n} days before {day}?", "{n} days before {day}?",
          "Which day is {n} days before {day}?", "What weekday comes {n} days before {day}?", "{day} minus {n} days?",
          "What day of the week is {n} days before {day}?", "Today is {day}. What day was it {n} days ago?",
          "If today is {day}, what day was it {n} days ago?", "It is {day}. What weekday was it {n} days ago?",
          "What is {day} minus {n} days?", "!Tell me the day {n} days before {day}"]
YESTERDAY = ["Today is {day}. What day was yesterday?", "If today is {day}, what day was yesterday?",
             "What day comes before {day}?", "What is the day before {day}?"]
TOMORROW = ["Today is {day}. What day is tomorrow?", "If today is {day}, what day is tomorrow?",
            "What day comes after {day}?", "What day follows {day}?",
            "What is the day after {day}?"]


def weekdays(rng):
    day, days = rng.choice(traces.WEEKDAYS), rng.choice([rng.randint(1, 14), rng.randint(1, 99)])
    if rng.random() < 0.15:
        days = rng.choice([100, 365, 366, rng.randint(100, 366)])
    before = rng.random() < 0.25
    template = rng.choice(BEFORE if before else WEEKDAY)
    if rng.random() < 0.03:
        days, template = 1, rng.choice(YESTERDAY if before else TOMORROW)
    lines, answer = traces.weekday(day, days, -1 if before else 1)
    text = phrase(rng, template, n=days, day=day if rng.random() < 0.8 else day.lower())
    text = text.replace(" 1 days", " 1 day").replace("1 days", "1 day") if days == 1 else text
    return Question("weekdays", text, lines, answer, None, held_out("before" if before else "weekday", day, days))


HOURS = ["How many minutes are in {h} hours?", "How many minutes are {h} hours?", "How many minutes is {h} hours?",
         "{h} hours in minutes", "{h} hours in minutes?",
         "!Convert {h} hours to minutes", "How many minutes do {h} hours have?", "What is {h} hours in minutes?",
         "How many minutes in {h} hours?"]
HOURS_AND = ["How many minutes are {h} hours and {m} minutes?", "{h} hours and {m} minutes in minutes",
             "!Convert {h} hours and {m} minutes to minutes",
             "How many minutes is {h} hours {m} minutes?", "What is {h} hours and {m} minutes in minutes?",
             "How many minutes are in {h} hours and {m} minutes?"]


def minutes(rng):
    hours, extra = rng.randint(1, 9), rng.choice([0, rng.randint(1, 59), rng.randint(1, 59)])
    lines, answer = traces.minutes(hours, extra)
    text = phrase(rng, rng.choice(HOURS_AND if extra else HOURS), h=hours, m=extra)
    text = text.replace("1 hours", "1 hour") if hours == 1 else text
    return Question("minutes", text, lines, answer, int(answer), held_out("minutes", hours, extra) and extra > 0)
