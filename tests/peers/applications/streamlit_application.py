"""Streamlit: a page that is drawn again, over its WebSocket, at each click."""

import streamlit

streamlit.title("Streamlit's page")
if streamlit.button("Press"):
    streamlit.write("It was pressed")
