"""The shop: an orders API and a notification worker, the example that envctl's environments are shown with."""
