"""What befalls natobs itself, as classes: killed, stopped, flooded, without disk, time or news.

One module a subject, all of them in ``registry.ALL``, run in a stack of the lab by
``run``. What must hold: nothing crashes, memory stays bounded, counters never go backwards but
where their process began anew, and what was lost is said by a metric or a log line.
"""
