"""What one actor says to another, as frozen values: within a job, about resources, behind the managers, and to the
keeper of snapshots. The module of each has the table of who sends what to whom at its top.
"""
