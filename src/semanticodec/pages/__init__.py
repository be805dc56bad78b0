"""Pages for browsers, to hear and see the codec; nothing in them is loaded from elsewhere."""
