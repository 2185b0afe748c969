"""Commands that say what is there: theorems, what to look at first, a module to begin with, this machine."""
