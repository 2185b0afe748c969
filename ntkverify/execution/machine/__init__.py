"""The machine: threads, their places on processors, memory."""
