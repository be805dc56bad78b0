"""Listening tests without listeners: is what the analysis finds what is there?"""
