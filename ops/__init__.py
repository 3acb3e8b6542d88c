"""The launcher's parts: environment, embedded servers, supervision.

Standard library only, but for what says otherwise.
"""
