"""relevance: how should one shared model be told which relevance task it is on?"""
