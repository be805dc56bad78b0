"""The demo page of `semanticodec demo`: what it computes, and how it looks in Gradio."""
