"""What the studio's page shows, as HTML: pictures with everything inside, so that nothing is fetched from anywhere."""

import base64
import html
import io

from PIL import Image

from ..variants import short_title
from .pictures import SHOWN_UP_TO, difference, overlay, parts_picture, preserved_overlay

LARGEST = 800  # pixels of the longer side of a photo on the page; the saved file has the photo's own size

STYLE = """<style>
.mg { container-type: inline-size; max-width: 1180px; margin: 0 auto; font-family: system-ui, sans-serif;
  color: var(--jp-ui-font-color1, #222); }
.mg, .mg .widget-box { overflow: visible; }
.mg .mg-row { display: flex; flex-flow: row wrap; align-items: center; gap: 6px; }
.mg .mg-top { align-items: flex-start; gap: 8px 28px; margin-top: 8px; }
.mg .widget-html-content { line-height: 1.45; font-size: 14px; }
.mg h2 { margin: 0; font-size: 21px; font-weight: 600; }
.mg p { margin: 2px 0; }
.mg .mg-picture { flex: 1 1 300px; max-width: 430px; min-width: 0; }
.mg .mg-sliders { flex: 2 1 320px; min-width: 0; }
.mg .mg-grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(300px, 100%), 1fr)); gap: 0 18px; }
.mg .mg-grid > *, .mg .mg-sliders > * { width: auto; max-width: 100%; }
.mg .mg-wipe { position: relative; width: 100%; user-select: none; line-height: 0; }
.mg .mg-wipe img { width: 100%; display: block; border-radius: 6px; pointer-events: none; }
.mg .mg-wipe .mg-after { position: absolute; inset: 0; clip-path: inset(0 0 0 var(--wipe, 50%)); }
.mg .mg-wipe i { position: absolute; top: 0; bottom: 0; left: var(--wipe, 50%); width: 3px; margin-left: -1.5px;
  background: #fff; box-shadow: 0 0 4px #0009; pointer-events: none; }
.mg .mg-wipe i::after { content: "\\2194"; position: absolute; top: 50%; left: 50%; transform: translate(-50%, -50%);
  background: #fff; color: #333; border-radius: 50%; width: 28px; height: 28px; font: 18px/28px system-ui;
  text-align: center; box-shadow: 0 0 4px #0006; }
.mg .mg-wipe input { position: absolute; inset: 0; width: 100%; height: 100%; margin: 0; opacity: 0;
  cursor: ew-resize; touch-action: pan-y; }
.mg .mg-wipe input:focus-visible + i { outline: 2px solid #0072b2; }
.mg .mg-wipe b { position: absolute; top: 8px; font: 600 12px/1.6 system-ui; color: #fff; background: #0008;
  border-radius: 4px; padding: 0 6px; pointer-events: none; }
.mg .mg-upload { font-size: 0; }
.mg .mg-upload::after { content: "Upload a photo"; font-size: 13px; }
.mg .mg-cards { display: flex; flex-wrap: wrap; gap: 12px; }
.mg .mg-cards { --card: min(128px, calc((100cqw - 28px) / 3)); }
.mg .mg-cards figure { margin: 0; width: var(--card); }
.mg .mg-cards img { width: var(--card); display: block; border-radius: 4px; }
.mg .mg-cards figcaption { font-size: 12px; line-height: 1.35; margin-top: 3px; }
.mg .mg-error { color: #8b0000; background: #fdecea; border-radius: 4px; padding: 4px 8px; }
.mg .mg-said { color: var(--jp-ui-font-color2, #555); }
.mg a.mg-save { display: inline-block; padding: 3px 12px; border-radius: 3px; background: #0072b2; color: #fff;
  text-decoration: none; }
.mg .mg-face { width: 66px; height: 66px; padding: 0; border-radius: 6px; background-size: cover;
  border: 3px solid var(--jp-layout-color1, #fff); }
.mg .mg-face.mg-picked { border-color: #d55e00; }
.mg .mg-table { overflow-x: auto; max-width: 100%; }
.mg .mg-cells { display: grid; grid-template-columns: 150px repeat(13, 24px); gap: 2px; width: max-content; margin: 0; }
.mg .mg-cells .jupyter-button { width: 24px; height: 20px; margin: 0; padding: 0; line-height: 18px; min-width: 0; }
.mg .mg-cells .jupyter-button.mod-active { background: #d55e00; box-shadow: none; }
.mg .mg-cells .widget-html { margin: 0; height: auto; }
.mg .mg-name { position: sticky; left: 0; background: var(--jp-layout-color1, #fff); z-index: 1; }
.mg .mg-part .widget-html-content { writing-mode: vertical-rl; transform: rotate(180deg); font-size: 12px;
  width: 24px; }
@container (max-width: 340px) {
  .mg .widget-slider .widget-label { width: 104px !important; font-size: 12px; line-height: 1.2; white-space: normal; }
}
.mg .mg-photo img { max-width: 100%; max-height: 320px; cursor: crosshair; }
</style>"""

# A click adds its place in the photo to the field of the eyes; the fourth number is the last.
EYE_CLICK = (
    "var r = this.getBoundingClientRect(), field = this.closest('.mg').querySelector('.mg-eyes input'), "
    "had = field.value.split(',').filter(Boolean); if (had.length >= 4) had = []; "
    "field.value = had.concat([Math.floor((event.clientX - r.left) * {width} / r.width), "
    "Math.floor((event.clientY - r.top) * {height} / r.height)]).join(','); "
    "field.dispatchEvent(new Event('input', {{bubbles: true}})); "
    "field.dispatchEvent(new Event('change', {{bubbles: true}}));"
)
# The divider's place is a property of the page, so it stays where it was when the pictures change.
WIPE = "this.closest('.mg').style.setProperty('--wipe', this.value + '%')"
WIPE_AGAIN = (
    "var field = this.parentNode.querySelector('input'), at = this.closest('.mg').style.getPropertyValue('--wipe'); "
    "if (at) field.value = parseFloat(at)"
)
# The handles of sliders have no name of their own; their labels' texts become theirs, also of those drawn later.
NAMED = (
    "(function named(img) { var page = img.closest('.mg'); if (!page) return setTimeout(named, 100, img); "
    "var name = () => page.querySelectorAll('.widget-slider').forEach(one => { "
    "var label = one.querySelector('label'), handle = one.querySelector('.noUi-handle'); "
    "if (label && handle) handle.setAttribute('aria-label', label.textContent); }); name(); "
    "if (!page.named) (page.named = new MutationObserver(name)).observe(page, {childList: true, subtree: true}); "
    "})(this)"
)


def data_uri(picture):
    """A PIL image, or the bytes of a PNG file, as a data: URI. Large pictures as smaller JPEGs, for the eye alone."""
    kind, data = "png", picture
    if isinstance(picture, Image.Image):
        file = io.BytesIO()
        if max(picture.size) > LARGEST:
            kind, picture = "jpeg", picture.copy()
            picture.thumbnail((LARGEST, LARGEST))
        profile = picture.info.get("icc_profile")  # without it a browser shows other colours than are saved
        picture.save(file, kind, icc_profile=profile, **({"quality": 92} if kind == "jpeg" else {}))
        data = file.getvalue()
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def sentences(lines, kind="mg-said"):
    """Plain sentences, one a line, whatever characters are in them."""
    role = ' role="alert"' if kind == "mg-error" else ""
    return "".join(f'<p class="{kind}"{role}>{html.escape(str(line))}</p>' for line in lines)


def wipe(before, after, name):
    """Two pictures of one size, one over the other, with a divider to drag; `name` is that of the second."""
    return (
        f'<div class="mg-wipe"><img src="{data_uri(before)}" alt="source">'
        f'<img class="mg-after" src="{data_uri(after)}" alt="{html.escape(name)}" onload="{WIPE_AGAIN}; {NAMED}">'
        f'<b style="left: 8px">source</b><b style="right: 8px">{html.escape(name)}</b>'
        f'<input type="range" min="0" max="100" value="50" aria-label="before and after" oninput="{WIPE}"><i></i></div>'
    )


def cards(shown, signed):
    """The pictures of one edit (`Shown`), each with a line on what it is."""
    pictures = [("source", shown.face)]
    for row, edited in shown.edits.items():
        told = f"MRE {shown.errors[row]:.4f}"
        told += f"<br>in {1000 * shown.seconds[row]:.0f} ms" if row in shown.seconds else ""
        pictures.append((f"<b>{short_title(row)}</b><br>{told}", edited))
    pictures += [("<b>true edit</b>", shown.true)] if shown.true else []
    scale = f"blue &minus;{SHOWN_UP_TO:g},<br>red {SHOWN_UP_TO:g}" if signed else f"black 0,<br>yellow {SHOWN_UP_TO:g}"
    for row, edited in shown.edits.items():
        pictures.append((f"{short_title(row)} &minus; source<br>{scale}", difference(shown.face, edited, signed)))
    pictures += [
        ("influence region<br>may change", overlay(shown.face, 1 - shown.preserved)),
        ("preserved mask<br>is to stay (eq. 5)", preserved_overlay(shown.face, shown.preserved)),
        ("the 19 parts", parts_picture(shown.parts)),
    ]
    figures = "".join(
        f'<figure><img src="{data_uri(picture)}" alt=""><figcaption>{line}</figcaption></figure>'
        for line, picture in pictures
    )
    return f'<div class="mg-cards">{figures}</div>'


def card(picture, line):
    """One picture with a line below."""
    return (
        f'<div class="mg-cards"><figure><img src="{data_uri(picture)}" alt="">'
        f"<figcaption>{html.escape(line)}</figcaption></figure></div>"
    )


def save_link(data, name):
    """A link that saves the bytes of a PNG file."""
    return f'<a class="mg-save" download="{html.escape(name)}" href="{data_uri(data)}">Save PNG</a>'


def faces_style(pictures):
    """What gives the buttons of the strip their faces."""
    rules = [f".mg .mg-face-{i} {{ background-image: url({data_uri(face)}); }}" for i, face in enumerate(pictures)]
    return f"<style>{' '.join(rules)}</style>"


def eye_photo(photo):
    """A photo to click the eyes on."""
    click = html.escape(EYE_CLICK.format(width=photo.width, height=photo.height))
    return f'<div class="mg-photo"><img src="{data_uri(photo)}" alt="the photo" onclick="{click}"></div>'
