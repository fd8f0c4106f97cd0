"""Settings of the manual; build it with ``make docs``."""

import os
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))
# Notebooks run in processes of their own: the look of their pictures travels by this file.
os.environ["MATPLOTLIBRC"] = str(HERE / "matplotlibrc")
# So does their set-up: a person's own start-up files must not change the manual.
ipython = tempfile.TemporaryDirectory(prefix="manual-")
os.environ["IPYTHONDIR"] = ipython.name
profile = Path(ipython.name, "profile_default")
profile.mkdir()
(profile / "ipython_kernel_config.py").write_text("get_config().IPKernelApp.log_level = 'ERROR'\n")

import hmm_rs  # noqa: E402

project = "hmm_rs"
copyright = "the authors of hmm_rs"  # noqa: A001
version = release = hmm_rs.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_nb",
    "sphinx_copybutton",
    "sphinx_design",
    "reference",
]
exclude_patterns = ["_build", "README.md"]
nitpicky = True
default_role = "code"
# Quotes in docstrings are those of code.
smartquotes = False

autosummary_generate = False
autodoc_typehints = "none"
autodoc_member_order = "bysource"
maximum_signature_line_length = 88
python_use_unqualified_type_names = True
add_module_names = False
numpydoc_class_members_toctree = False
numpydoc_show_inherited_class_members = True

myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True
copybutton_exclude = ".linenos, .gp, .go"

# Found by the bundling in `reference`; the pages load nothing from elsewhere.
mathjax_path = "mathjax/tex-chtml.js"

html_theme = "pydata_sphinx_theme"
html_title = f"hmm_rs {version}"
html_static_path = ["_static"]
html_css_files = ["hmm_rs.css"]
html_logo = "_static/logo.svg"
html_favicon = "_static/logo.svg"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "hmm_rs"},
    "navbar_align": "left",
    "header_links_before_dropdown": 8,
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "tango",
    "show_toc_level": 2,
}
# Pages that stand alone have nothing beside them.
html_sidebars = {
    page: []
    for page in ("index", "start", "gallery/index", "sharp-bits", "pitfalls", "speed", "trust", "paper")
}
