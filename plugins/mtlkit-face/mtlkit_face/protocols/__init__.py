"""The published protocols of face recognition: readers of their files, results and commands.

`pairs` has LFW, CFP and `.bin` sets, and `templates` has IJB-A.
"""
