"""Markdown becomes HTML that is safe to show, whatever people write, and soon enough."""

import marshmallow as ma
import pytest

from taskapi.tasks import markdown
from taskapi.tasks.markdown import MAX_SOURCE_BYTES, render
from tests.timed import best_of, work_of


@pytest.mark.parametrize(
    ("source", "html"),
    [
        ("**bold** and *so*", "<p><strong>bold</strong> and <em>so</em></p>\n"),
        ("~~gone~~", "<p><s>gone</s></p>\n"),
        ("3. x\n4. y", '<ol start="3">\n<li>x</li>\n<li>y</li>\n</ol>\n'),
        ("```python\nx = 1\n```", '<pre><code class="language-python">x = 1\n</code></pre>\n'),
        (
            "|a|\n|--:|\n|1|",
            '<table>\n<thead>\n<tr>\n<th style="text-align:right">a</th>\n</tr>\n</thead>\n'
            '<tbody>\n<tr>\n<td style="text-align:right">1</td>\n</tr>\n</tbody>\n</table>\n',
        ),
        (
            "[a](https://example.org 'b')",
            '<p><a href="https://example.org" title="b" rel="nofollow noopener">a</a></p>\n',
        ),
        (
            "<mailto:a@example.org>",
            '<p><a href="mailto:a@example.org" rel="nofollow noopener">mailto:a@example.org</a></p>\n',
        ),
    ],
    ids=["emphasis", "strikethrough", "list", "code", "table", "link", "address"],
)
def test_what_is_common_is_rendered(source: str, html: str) -> None:
    assert render(source).html == html


@pytest.mark.parametrize(
    "source",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<a href='javascript:alert(1)'>x</a>",
        "<!-- --><svg onload=alert(1)>",
        "text <iframe src=//evil.example></iframe>",
    ],
    ids=["script", "image", "link", "drawing", "frame"],
)
def test_raw_html_is_shown_as_text(source: str) -> None:
    html = render(source).html
    assert html.count("<") == html.count("<p>") + html.count("</p>")


@pytest.mark.parametrize(
    "source",
    [
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](java&#115;cript:alert(1))",
        "[x](vbscript:x)",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "![x](data:image/png;base64,AAAA)",
        "[x](file:///etc/passwd)",
        "[x](//evil.example)",
        "[x](/api/auth/logout)",
        "[x](ftp://example.org)",
        "<javascript:alert(1)>",
        "[x]: javascript:alert(1)\n\n[x]",
    ],
    ids=[
        *("script", "in any case", "escaped", "visual basic", "data", "image of data", "file"),
        *("without a scheme", "relative", "other scheme", "between angles", "by reference"),
    ],
)
def test_a_link_leads_to_the_web_or_an_address_alone(source: str) -> None:
    assert "href" not in render(source).html


def test_an_image_is_a_link_as_nobody_is_to_learn_who_looks_at_it() -> None:
    html = render('![a "cat"](https://example.org/cat.png)').html
    assert html == ('<p><a href="https://example.org/cat.png" rel="nofollow noopener">a "cat"</a></p>\n')
    assert "<img" not in render("[![a](https://example.org/a.png)](https://example.org)").html


@pytest.mark.parametrize(
    ("source", "mentions"),
    [
        ("@olivia and @Tariq.", ("olivia", "Tariq")),
        ("(@olivia), **@tariq**; @olivia again", ("olivia", "tariq")),
        ("@anna.b-c_d-", ("anna.b-c_d",)),
        ("@zoë @李雷", ("zoë", "李雷")),
        ("ask olivia@example.org or https://example.org/@olivia", ()),
        ("`@olivia`\n\n    @olivia\n\n```\n@olivia\n```", ()),
        (f"@{'a' * 51}", ()),
        ("@ olivia @", ()),
    ],
    ids=["two", "each once", "dots", "letters", "addresses", "code", "too long", "nobody"],
)
def test_who_is_mentioned(source: str, mentions: tuple[str, ...]) -> None:
    assert render(source).mentions == mentions


def test_the_source_has_64_kib_of_utf_8_at_most() -> None:
    assert render("ä" * (MAX_SOURCE_BYTES // 2)).html
    with pytest.raises(ma.ValidationError, match="65,536 bytes"):
        render("ä" * (MAX_SOURCE_BYTES // 2) + "x")


def test_fifty_people_at_most_are_mentioned() -> None:
    assert len(render(" ".join(f"@u{number}" for number in range(50))).mentions) == 50
    with pytest.raises(ma.ValidationError, match="50 people"):
        render(" ".join(f"@u{number}" for number in range(51)))


def filled(pattern: str, size: int) -> str:
    return (pattern * (size // len(pattern) + 1))[:size]


def test_a_table_that_blows_up_is_refused() -> None:
    """A row of two bytes gets as many cells as the table has columns."""
    table = f"{'a|' * 140}\n{'-|' * 140}\n"
    assert render(table).html
    assert render(table + f"{'a|' * 140}\n" * 50).html
    with pytest.raises(ma.ValidationError, match="too long when it is rendered"):
        render(table + "|\n" * 100)


@pytest.mark.parametrize(("columns", "rows", "cell"), [(32, 60, "x"), (13, 100, ""), (40, 400, "ab")])
def test_a_table_that_people_keep_is_rendered(columns: int, rows: int, cell: str) -> None:
    align = ":-:" if rows < 400 else "---"
    lines = [["day"] * columns, [align] * columns, *([cell] * columns for _ in range(rows))]
    assert render("\n".join(f"|{'|'.join(line)}|" for line in lines)).html


@pytest.mark.parametrize("piece", ["- a\n", "`a` ", "~~a~~ ", "> a\n\n", "# a\n", "[a](https://b.c) ", "a|"])
def test_what_is_short_by_itself_becomes_no_page_that_is_too_long(piece: str) -> None:
    head = f"{'a|' * 20}\n{'-|' * 20}\n" if piece == "a|" else ""
    row = "a|" * 20 + "\n" if head else piece
    assert render(head + row * (12_000 // len(row))).html


@pytest.mark.parametrize("pattern", ["[\n", "![", "*_", "- a\n", "a\n"])
def test_what_takes_long_for_each_byte_is_refused(pattern: str) -> None:
    with pytest.raises(ma.ValidationError, match="too many lines"):
        render(filled(pattern, MAX_SOURCE_BYTES))


def test_a_short_table_that_fills_up_to_many_cells_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    table = f"{'a|' * 100}\n{'-|' * 100}\n"
    monkeypatch.setattr(markdown, "MAX_TOKENS", 2_000)
    assert render(table + "|\n" * 2).html
    with pytest.raises(ma.ValidationError, match="too many lines"):
        render(table + "|\n" * 6)


def test_a_long_text_with_much_markup_is_rendered() -> None:
    paragraph = "- **so** [much](https://example.org) `to_do`, *really* _much_\n  ~~no~~ yes\n\n"
    assert render(filled(paragraph, MAX_SOURCE_BYTES)).html


@pytest.mark.parametrize("pattern", ["[", "![", "[a](b", "**a *a ", "<", "a\n", "- ", "|a|\n|-|\n"])
def test_the_time_of_nasty_patterns_does_not_explode(pattern: str) -> None:
    def seconds(size: int) -> float:
        return work_of(lambda: render(filled(pattern, size)))

    def growth() -> float:
        return seconds(4_000) / max(seconds(1_000), 0.002)

    seconds(100)
    # Four times as long: four times the time is linear, sixteen times is quadratic.
    assert best_of(3, growth, enough=32) < 32
