"""Alertmanager's configuration: who is told what, and which alert silences which."""
