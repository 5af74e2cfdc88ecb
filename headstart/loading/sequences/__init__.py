"""Networks that read a text and write another: cut into stages and what writes, and vocabularies.

An encoder–decoder's encoder gives the stages, its decoder is the pretrained head. The two have a
table of embeddings each, so that what is frozen in one learns nothing through the other.
"""
