"""Mutation of the generated rules: does a promtool test notice when one number, label or operator is wrong?"""
