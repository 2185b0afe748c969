"""Constants of theorems: derived, isolated from chains of inequalities, chosen to be small."""
