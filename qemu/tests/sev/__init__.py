"""Tests under the SEV host: of it, and of Prologue as its guest."""
