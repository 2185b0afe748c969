"""One neuron of a network: activations, differential operators, stencils, and what is known of them."""
