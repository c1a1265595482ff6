"""Rows and effects → pictures, each as <name>.png and <name>.svg, with a caption for the page that shows it.

canvas.py the style and the files · labels.py words that fit and do not overlap
heatmap.py rows × tasks · forest.py effects with intervals · slope.py prefix → mh → mhp
volume.py gain by training rows · reliability.py accuracy by confidence
"""
