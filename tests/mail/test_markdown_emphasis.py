"""Emphasis, in all scripts."""

import pytest

from tests.mail.test_markdown import html_of

BESIDE_CJK = [
    ("**注意：**請先閱讀。這是**重點**。", "<strong>注意：</strong>請先閱讀。這是<strong>重點</strong>。"),
    ("這是**「重點」**內容", "這是<strong>「重點」</strong>內容"),
    ("這是*「重點」*內容", "這是<em>「重點」</em>內容"),
    ("這是***「重點」***內容", "這是<em><strong>「重點」</strong></em>內容"),
    ("價格~~（舊）~~更新", "價格<s>（舊）</s>更新"),
    ("请看**“说明”**和**《手册》**。", "请看<strong>“说明”</strong>和<strong>《手册》</strong>。"),
    (
        "使用Excel**（報表）**and**「重點」**words",
        "使用Excel<strong>（報表）</strong>and<strong>「重點」</strong>words",
    ),
    ("**(1)**第一", "<strong>(1)</strong>第一"),
    (
        "請看**README.md**、並**重啟(restart)**服務",
        "請看<strong>README.md</strong>、並<strong>重啟(restart)</strong>服務",
    ),
    ("使用**`git`**提交", "使用<strong><code>git</code></strong>提交"),
    ("**[說明](https://a.example)**請看", '<strong><a href="https://a.example">說明</a></strong>請看'),
    ("**「強調」**です", "<strong>「強調」</strong>です"),
    ("これは**重要。**です", "これは<strong>重要。</strong>です"),
    ("価格は**￥1,000（税込）**です", "価格は<strong>￥1,000（税込）</strong>です"),
    ("*ﾃｽﾄ｡*です", "<em>ﾃｽﾄ｡</em>です"),
    ("**중요(필수)**입니다", "<strong>중요(필수)</strong>입니다"),
    ('**"마감일"**은 **50%**로', '<strong>"마감일"</strong>은 <strong>50%</strong>로'),
    ("**C++**와 *(참고)*를", "<strong>C++</strong>와 <em>(참고)</em>를"),
    ("**𠮷野家（本店）**𠮷", "<strong>𠮷野家（本店）</strong>𠮷"),
]


@pytest.mark.parametrize(("markdown", "html"), BESIDE_CJK)
def test_k6_emphasis_needs_no_space_beside_chinese_japanese_and_korean(markdown: str, html: str) -> None:
    """Punctuation inside the asterisks and a CJK character outside them do not keep the asterisks raw."""
    assert html_of(markdown).replace("&quot;", '"') == f"<p>{html}</p>"


@pytest.mark.parametrize(
    ("markdown", "html"),
    [
        ("a**b**c *d* **e *f* g**", "a<strong>b</strong>c <em>d</em> <strong>e <em>f</em> g</strong>"),
        ("a * b* c", "a * b* c"),
        ('a*"b"*', 'a*"b"*'),
        ('a**"b"**c', 'a**"b"**c'),
        ("*(*a*)*", "<em>(<em>a</em>)</em>"),
        ("**a(**b", "**a(**b"),
        ("a_b_c _d_ __e__ _(f)_.", "a_b_c <em>d</em> <strong>e</strong> <em>(f)</em>."),
        ("снег_снег_", "снег_снег_"),
        ("* a *", "<ul>\n<li>a *</li>\n</ul>"),
        ("*1 a*2", "<em>1 a</em>2"),
        ("a**🎉**b", "a**🎉**b"),
        ("😀**(b)**😀", "😀<strong>(b)</strong>😀"),
        (
            "**Gomphocarpus (*G. physo.*, syn.*A.*)**",
            "<strong>Gomphocarpus (<em>G. physo.</em>, syn.<em>A.</em>)</strong>",
        ),
        ("~5 € to ~6 €, H~2~O", "~5 € to ~6 €, H~2~O"),
    ],
)
def test_k6_other_text_is_read_as_in_commonmark(markdown: str, html: str) -> None:
    """Without CJK characters the rules of flanking of CommonMark 6.2 decide; a single tilde strikes nothing through."""
    expected = html if html.startswith("<ul>") else f"<p>{html}</p>"
    assert html_of(markdown).replace("&quot;", '"') == expected


@pytest.mark.parametrize(
    "text",
    [
        "2*3*4 = 24, 2**3 and 4**5",
        "2 * 3 * 4",
        "from_this_name and _snake_case_names_ and __my_module__",
        "a | b, $5 and $6, x^2^",
    ],
)
def test_k13_numbers_and_names_keep_their_signs(text: str) -> None:
    """An asterisk between digits multiplies, and the underscores of a name belong to it."""
    assert html_of(text) == f"<p>{text}</p>"
