"""Locks and what is made of them: who waited for which, who had it, who let it go. In kernel and children."""
