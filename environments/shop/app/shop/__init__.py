"""The shop: an orders API and a notification worker, the example for envctl's environments."""
