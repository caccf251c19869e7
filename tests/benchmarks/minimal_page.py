"""What the console is measured against: the smallest Gradio page, served as `demo.launch()` serves it."""

import os
import sys

os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_OFFLINE="1")

import gradio as gr


def main(port: int) -> None:
    """Serves a page with one text box, one button and one answer on that port, until it is ended."""
    with gr.Blocks(analytics_enabled=False) as demo:
        name = gr.Textbox(label="Name")
        greeting = gr.Textbox(label="Greeting")
        gr.Button("Greet").click(lambda text: f"Hello, {text}", name, greeting)
    demo.launch(server_name="127.0.0.1", server_port=port, quiet=True, share=False, footer_links=[])


if __name__ == "__main__":
    main(int(sys.argv[1]))
