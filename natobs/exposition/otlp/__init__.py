"""Push over OTLP: rounds of samples and spans of attempts, beside what is served.

push.py is the way in. Of the rest, exporters.py, session.py, metrics.py and
spans.py need OpenTelemetry's libraries, and are imported when there is an endpoint.
"""
