"""How the site is built: ``sphinx-build docs build/site``. Nothing is fetched, and nothing on the pages is remote."""

import os
import sys
from pathlib import Path

import fairjax

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "_extensions"), str(HERE.parent)]  # the latter for `benchmarks.records`

project = "fairjax"
author = "the fairjax developers"
copyright = f"2026, {author}"
version = release = fairjax.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinxcontrib.bibtex",
    "myst_nb",
    "docstrings",
    "measured",
    "mathml",
    "rooms",
]
exclude_patterns = ["build", "_build"]
suppress_warnings = ["myst.header", "ref.footnote"]  # docstrings close with notes of sources

# pages
myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath", "fieldlist"]
myst_heading_anchors = 3
bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "alpha"
copybutton_prompt_text = r"\$ |>>> |\.\.\. "
copybutton_prompt_is_regexp = True

# tutorials: each page is run in a process of its own, and again only when its code has changed
nb_execution_mode = "cache"
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_execution_show_tb = True
nb_merge_streams = True
os.environ.setdefault("MATPLOTLIBRC", str(HERE / "matplotlibrc"))
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(HERE.parent / "build" / "programs"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
# small programs that run for a moment: without the optimiser they compile in a third of the time
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")

# reference: the docstrings say what types things have
default_role = "py:obj"
add_module_names = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_param = False
napoleon_attr_annotations = False
napoleon_custom_sections = [("Attributes", "params_style")]
napoleon_use_admonition_for_examples = False
toc_object_entries_show_parents = "hide"

# looks
html_theme = "furo"
html_title = "fairjax"
html_static_path = ["_static"]
html_css_files = ["fairjax.css"]
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_show_sphinx = False
html_copy_source = False
html_math_renderer = "mathml"
pygments_style = "default"
pygments_dark_style = "github-dark"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b6bb8", "color-brand-content": "#0b6bb8"},
    "dark_css_variables": {"color-brand-primary": "#63b3f0", "color-brand-content": "#63b3f0"},
}
