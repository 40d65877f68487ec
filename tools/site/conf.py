"""How Sphinx makes the site of the pages that build_site.py gathers."""

project = "ane-mlir"
author = "ane-mlir"
extensions = ["myst_parser"]
html_theme = "furo"
html_title = "ane-mlir"
html_extra_path = ["extra"]
html_show_sourcelink = False
html_copy_source = False
html_show_copyright = False
html_use_index = False
# It would fetch pages, which browsers refuse to pages out of files.
html_show_search_summary = False
# Options keep their two dashes.
smartquotes = False
html_last_updated_fmt = None
# Nothing is fetched when the site is looked at.
html_theme_options = {"footer_icons": []}
html_css_files = ["site.css"]
html_static_path = ["static"]
myst_heading_anchors = 5
myst_enable_extensions = ["deflist"]
# There is no lexer for MLIR or MIL; generated pages begin below level 1.
suppress_warnings = ["misc.highlighting_failure", "myst.header"]
highlight_language = "none"
