"""The one place that relies on Gradio's insides, which an upgrade may change without a word.

``server`` is the half in this process (the page, its sessions, its routes), ``scripts`` the half in the browser
(Gradio's page and scripts as the console sends them), ``imports`` how Gradio is imported. Everything here was seen in
Gradio 6.31.0. Each reliance stands with its reason, and has a test of its own in tests/unit/ui/gradio_compat/ that
fails where an upgrade breaks it; test_architecture.py holds that no other module of ui/ touches what Gradio doesn't
document.
"""
