"""Gradio's own client calls a function, and follows a stream. Usage: gradio_caller.py URL"""

import sys

from gradio_client import Client

client = Client(sys.argv[1], verbose=False)
print(client.predict("abc" * 1000, api_name="/reverse") == "cba" * 1000)
job = client.submit(5, api_name="/count")
print(job.result(), job.outputs())
