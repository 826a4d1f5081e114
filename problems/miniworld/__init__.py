"""A small world that is drawn, spoken and written: eight tasks follow from it exactly.

scene.py      the grammar that scenes are sampled from, and their splits
sentences.py  their English, German and French, and the parse of the English
pictures.py   their pictures
speech.py     their sentences, spoken
problems.py   the tasks
"""
