"""Every skill, by the name that the tables give it, and what draws a question of it: f(rng) -> Question."""
from ordering import comparison, sorting
from products import division, multiplication, parity, spelled
from spelling import case, counting, length, reversing
from stories import story
from sums import addition, several_terms, subtraction, vietnamese
from times import minutes, weekdays

SKILLS = {"addition": addition, "subtraction": subtraction, "comparison": comparison, "sorting": sorting,
          "counting letters": counting,
          "reversing words": reversing, "weekdays": weekdays, "word problems": story, "multiplication": multiplication,
          "letter case": case, "minutes": minutes, "vietnamese": vietnamese, "several terms": several_terms,
          "division": division, "numbers in words": spelled, "word length": length, "even and odd": parity}
