"""The built-in demo: a football league on loopback and a real scraper for it.

- ``league``: the seeded data and the plan which match pages are slow, flaky, rate-limited or broken;
- ``pages``: the HTML of the site;
- ``site``: the web server, in a thread of this process or in one of its own;
- ``scraper``: the handler that a job runs for each page.

Nothing is re-exported here, so that ``python -m scorewise_actors.demo.site`` loads each module once.
"""
