"""Measurements, each beside what it can be compared with in the same run.

`understudy bench` plays a short programme of them; `make bench` in the repository plays all.
"""
