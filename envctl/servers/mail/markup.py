"""Which elements and attributes DOMPurify lets through, and which elements HTML closes by itself."""

from __future__ import annotations

import re
from html import escape, unescape
from html.entities import html5


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TAGS = _words(
    """a abbr acronym address area article aside audio b bdi bdo big blink blockquote br button canvas caption center cite code col colgroup
    content data datalist dd decorator del details dfn dialog dir div dl dt element em fieldset figcaption figure font footer form h1 h2 h3
    h4 h5 h6 header hgroup hr i img input ins kbd label legend li link main map mark marquee menu menuitem meter nav nobr ol optgroup
    option output p picture pre progress q rp rt ruby s samp search section select shadow slot small source spacer span strike strong style
    sub summary sup table tbody td template textarea tfoot th thead time title tr track tt u ul var video wbr"""
)
_ATTRIBUTES = _words(
    """accept action align alt autocapitalize autocomplete autopictureinpicture autoplay background bgcolor border capture cellpadding
    cellspacing checked cite class clear color cols colspan controls controlslist coords crossorigin datetime decoding default dir disabled
    disablepictureinpicture disableremoteplayback download draggable enctype enterkeyhint exportparts face for headers height hidden high
    href hreflang id inert inputmode integrity ismap kind label lang list loading loop low max maxlength media method min minlength multiple
    muted name nonce noshade novalidate nowrap open optimum part pattern placeholder playsinline popover popovertarget popovertargetaction
    poster preload pubdate radiogroup readonly rel required rev reversed role rows rowspan spellcheck scope selected shape size sizes slot
    span srclang start src srcset step style summary tabindex target title translate type usemap valign value width wrap xmlns"""
)
GONE_WITH_CONTENT = _words(
    "annotation-xml desc foreignobject iframe math mi mn mo ms mtext noembed noframes noscript plaintext script svg xmp"
)
_ANY_VALUE = _words("alt class id label name pattern placeholder role summary title value style xmlns for")
_LOADED = _words("audio video img source image track")
VOID = _words("area base basefont bgsound br col embed hr img input link meta param source spacer track wbr")
OF_HEAD = _words("base link meta noscript script style template title")
ENDS_PARAGRAPH = _words(
    """address article aside blockquote center dd details dialog dir div dl dt fieldset figcaption figure footer form h1 h2 h3 h4 h5 h6
    header hgroup hr li main menu nav ol p pre section summary table ul"""
)
SCOPE = _words("table td th caption button marquee template")
ENDS = {"li": ({"li"}, {"ul", "ol"}), "dd": ({"dd", "dt"}, {"dl"}), "dt": ({"dd", "dt"}, {"dl"}), "option": ({"option"}, {"select"})}
OF_TABLE = _words("caption colgroup tbody td tfoot th thead tr")
SECTIONS = frozenset(("tbody", "thead", "tfoot"))

_ALLOWED_URI = re.compile(
    r"(?:(?:(?:f|ht)tps?|mailto|tel|callto|sms|cid|xmpp|matrix):|[^a-z]|[a-z+.\-]+(?:[^a-z+.\-:]|$))", re.IGNORECASE | re.ASCII
)
_BREAKS_OUT = re.compile(r"(--!?|\])>|</(style|script|title|xmp|textarea|noscript|iframe|noembed|noframes)", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"([^\s\"'>/=][^\s>/=]*)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>]+)))?")
_REFERENCE = re.compile(r"&(?:#\d+;?|#[xX][0-9a-fA-F]+;?|(\w+;)|(\w+)(?![\w=;]))")


def shown_attributes(tag: str, source: str) -> str:
    """The attributes of a tag that may stay; the library's own reading takes `&copy=` in a link for a sign."""
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(source.removesuffix(">"), len(tag) + 1):
        found.setdefault(match[1].lower(), _REFERENCE.sub(_dereferenced, next((v for v in match.groups()[1:] if v is not None), "")))
    kept = ((name, value if name == "value" else value.strip()) for name, value in found.items() if _may_stay(tag, name, value))
    return "".join(f' {name}="{escaped(value, quotes=True)}"' for name, value in kept)


def _dereferenced(match: re.Match[str]) -> str:
    name = match[1] or match[2]
    return html5.get(name, match[0]) if name else unescape(match[0])


def _may_stay(tag: str, name: str, value: str) -> bool:
    if _BREAKS_OUT.search(value):
        return False
    if re.fullmatch(r"data-[-\w.\xb7-\uffff]+|aria-[-\w]+", name):
        return True
    if name not in _ATTRIBUTES:
        return False
    compact = re.sub(r"[\x00-\x20\xa0\u1680\u180e\u2000-\u2029\u205f\u3000]", "", value.strip())
    data = name in ("src", "href") and value.strip().startswith("data:") and tag in _LOADED
    return not compact or name in _ANY_VALUE or bool(_ALLOWED_URI.match(compact)) or data


def escaped(text: str, quotes: bool = False) -> str:
    """Text as a browser writes it down."""
    shown = escape(text, quote=False).replace("\xa0", "&nbsp;")
    return shown.replace('"', "&quot;") if quotes else shown
