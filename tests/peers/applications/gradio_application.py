"""Gradio: a function with a form, and one whose answer streams. Usage: gradio_application.py PORT"""

import sys

import gradio


def reverse(text):
    return text[::-1]


def count(most):
    for number in range(int(most)):
        yield str(number)


with gradio.Blocks(title="Gradio's page") as page:
    line, most, answer = (
        gradio.Textbox(label="Line"),
        gradio.Number(label="Most"),
        gradio.Textbox(label="Answer"),
    )
    gradio.Button("Reverse").click(reverse, line, answer, api_name="reverse")
    gradio.Button("Count").click(count, most, answer, api_name="count")

page.launch(server_name="127.0.0.1", server_port=int(sys.argv[1]))
