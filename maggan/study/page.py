"""The page on which people rate a study, for notebooks and Voila: widgets around `rating.Rating`, nothing else."""

import base64
from html import escape
from pathlib import Path

import ipywidgets as widgets
import matplotlib.pyplot as plt
from IPython.display import HTML, display

from ..basics import paths
from ..basics.errors import MagganError
from .folder import Study
from .rating import Rating

QUESTION = (
    "Which result makes this change more successfully? Consider as well how good the picture looks, and whether it is "
    "still the same person."
)
# what is asked for where the attribute is added, and where it is removed
TASKS = {
    "Bald": ("make the head bald", "give the bald head hair"),
    "Bangs": ("add bangs", "remove the bangs"),
    "Black_Hair": ("make the hair black", "make the hair another colour than black"),
    "Blond_Hair": ("make the hair blond", "make the hair another colour than blond"),
    "Brown_Hair": ("make the hair brown", "make the hair another colour than brown"),
    "Bushy_Eyebrows": ("make the eyebrows bushier", "make the eyebrows less bushy"),
    "Eyeglasses": ("add eyeglasses", "remove the eyeglasses"),
    "Male": ("make the face look male", "make the face look female"),
    "Mouth_Slightly_Open": ("open the mouth a little", "close the mouth"),
    "Mustache": ("add a mustache", "remove the mustache"),
    "No_Beard": ("remove the beard", "add a beard"),
    "Pale_Skin": ("make the skin paler", "make the skin less pale"),
    "Young": ("make the face younger", "make the face older"),
}
BUTTONS = {
    "left": ("1 · Left is better", "key 1 or ←"),
    "same": ("2 · About the same", "key 2"),  # the arrow down scrolls
    "right": ("3 · Right is better", "key 3 or →"),
}
PLACES = (("left", "Left"), ("source", "Source"), ("right", "Right"))
TOO_SOON = 0.3  # seconds after a pair appears: a second press meant for the one before
STYLE, KEYS = (Path(__file__).with_name(name) for name in ("rating.css", "rating.js"))


class RatingPage:
    """The page of a profile's study; `show()` displays it. Without a study it is one line that says what to do."""

    def __init__(self, profile, kind="people"):
        self.profile, self.kind, self.rating = profile, kind, None
        self.name = widgets.Text(description="Your name", continuous_update=False)
        self.name.style.description_width = "initial"  # else it is cut off
        self.start = widgets.Button(description="Start", button_style="primary")
        self.start.on_click(lambda _: self.begin())
        self.welcome = widgets.HBox([self.name, self.start])
        self.task, self.pictures, self.status, self.message = (widgets.HTML() for _ in range(4))
        self.choices = {}
        for choice, (text, keys) in BUTTONS.items():
            self.choices[choice] = widgets.Button(description=text, tooltip=keys)
            self.choices[choice].on_click(lambda _, choice=choice: self.choose(choice))
        self.undo = widgets.Button(description="Take the last vote back", tooltip="key u")
        self.undo.on_click(lambda _: self.take_back())
        self.leave = widgets.Button(description="Another rater")
        self.leave.on_click(lambda _: self.end())
        buttons, foot = widgets.HBox(list(self.choices.values())), widgets.HBox([self.undo, self.leave])
        self.rated = widgets.VBox([self.task, self.pictures, buttons, self.status, foot])
        head = widgets.HTML(f"<h2>Rate edits of faces</h2><p>{QUESTION}</p>")
        self.page = widgets.VBox([head, self.welcome, self.message, self.rated])
        self.named = {"rating": self.page, "welcome": self.welcome, "name": self.name, "start": self.start,
                      "choices": buttons, "foot": foot, "undo": self.undo, "leave": self.leave,
                      "message": self.message, "task": self.task, **self.choices}
        for name, widget in self.named.items():
            widget.add_class(f"maggan-{name}")
        self.end()

    def show(self):
        """Display the page, or one plain line where there is no study."""
        if not (paths.study_folder(self.profile) / "study.json").exists():
            print(f"There is no study of {self.profile.name} yet: make study PROFILE={self.profile.name}")
            return
        display(HTML(f"<style>{STYLE.read_text()}</style><script>{KEYS.read_text(encoding='utf-8')}</script>"))
        display(self.page)

    def begin(self):
        """Open the study for the name that was typed; what is wrong is said in the page."""
        try:
            self.rating = Rating(Study.open(paths.study_folder(self.profile)), self.name.value, self.kind)
        except MagganError as error:
            self.say(error)
            return
        self.say("")
        self.welcome.layout.display, self.rated.layout.display = "none", ""
        self.draw()

    def end(self):
        """Back to the name."""
        self.rating, self.name.value = None, ""
        self.welcome.layout.display, self.rated.layout.display = "", "none"
        self.say("")

    def choose(self, choice):
        """A vote on the pair that is shown; a second press that comes too soon is not taken for one."""
        if self.rating is None or self.rating.current is None or self.rating.seconds() < TOO_SOON:
            return
        try:
            saved = self.rating.vote(choice)
            self.say("" if saved else "That pair was rated in another window already; here is the next.")
        except MagganError as error:
            self.say(error)
        self.draw()

    def take_back(self):
        """The last vote is taken back and its pair is shown again."""
        if self.rating is None:
            return
        try:
            pair = self.rating.undo()
            self.say("" if pair else "There is no vote to take back.")
        except MagganError as error:
            self.say(error)
        self.draw()

    def say(self, text):
        self.message.value = f'<span role="alert">{escape(str(text))}</span>' if str(text) else ""

    def draw(self):
        """Show the current pair, all three pictures at once, or that all are rated."""
        rating = self.rating
        pair, (done, total) = rating.current, rating.progress
        for button in self.choices.values():
            button.layout.display = "" if pair else "none"
        if pair:
            self.task.value = f"<p>The change asked for: <b>{task(pair)}</b></p>"
            self.pictures.value = pictures(rating.study, pair)
        else:
            self.task.value = f"<p><b>All {total} pairs are rated. Thank you!</b></p>"
            self.pictures.value = ""
        self.status.value = (
            f'<progress value="{done}" max="{total}" aria-label="pairs rated"></progress> '
            f"<span>{done} of {total} rated by {escape(rating.rater)}</span>"
        )
        rating.shown_now()


def task(pair):
    """The change of a pair in words."""
    return TASKS[pair.attribute]["+-".index(pair.direction)]


def pictures(study, pair):
    """The two results and the source between them, as HTML that needs no other file."""
    cells = []
    for which, title in PLACES:
        file = study.picture(pair, which)
        if not file.exists():
            again = f"make study PROFILE={study.about['profile']} SEEDS={study.about['seed']}"
            return f"<p>{escape(file.name)} is missing: {escape(again)}</p>"
        data = base64.b64encode(file.read_bytes()).decode()
        cells.append(f'<figure class="maggan-{which}-picture"><img alt="{title}" src="data:image/png;base64,{data}">'
                     f"<figcaption>{title}</figcaption></figure>")  # fmt: skip
    return f'<div class="maggan-pictures">{"".join(cells)}</div>'


def still(study, pair):
    """A pair as raters see it, as a matplotlib Figure, for readers without a kernel."""
    figure = plt.figure(figsize=(7.2, 3.2), facecolor="white")
    for i, (which, title) in enumerate(PLACES):
        axes = figure.add_axes((i / 3 + 0.01, 0.12, 1 / 3 - 0.02, 0.72))
        axes.imshow(plt.imread(study.picture(pair, which)))
        axes.set_title(title, size=9)
        axes.axis("off")
    figure.text(0.5, 0.97, f"The change asked for: {task(pair)}", ha="center", va="top", size=11)
    texts = "        ".join(f"[ {text} ]" for text, _ in BUTTONS.values())
    figure.text(0.5, 0.04, texts, ha="center", size=9)
    plt.close(figure)  # else a notebook shows it twice
    return figure
