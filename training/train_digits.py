"""Train the two generators that ship with hmm_rs on scikit-learn's digits.

Run ``python training/train_digits.py`` (jax on the CPU, about two minutes on one core). It writes
``hmm_rs/weights/digits_flow.safetensors`` and ``hmm_rs/weights/digits_convolutional.safetensors``, half-precision
weights with the description of the layers in the header.

* Flow: eight affine couplings on the 64 pixels (Dinh, Sohl-Dickstein and Bengio, 2017), trained by maximum
  likelihood on digits with uniform dequantisation noise.
* Convolutional generator: the layout of a DCGAN (Radford, Metz and Chintala, 2016) at 8 x 8 pixels. Trained
  without an adversary, on the energy distance between generated and real digits, so that the
  outcome is reproducible and needs no tuning.
"""

import json
import struct
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits

OUT = Path(__file__).parents[1] / "hmm_rs" / "weights"
COUPLINGS, WIDTH = 8, 48
LATENT, CHANNELS = 20, (48, 32)


def write_safetensors(path, tensors, metadata):
    """8-byte header length, JSON header, raw little-endian arrays."""
    header, offset, blobs = {"__metadata__": metadata}, 0, []
    for name, tensor in tensors.items():
        blob = np.ascontiguousarray(tensor, dtype="<f2").tobytes()
        header[name] = {
            "dtype": "F16",
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + len(blob)],
        }
        offset += len(blob)
        blobs.append(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def adam(gradient, parameters, steps, rate, seed):
    """Adam with a cosine decay of its rate."""
    first = jax.tree.map(jnp.zeros_like, parameters)
    second = jax.tree.map(jnp.zeros_like, parameters)

    @jax.jit
    def step(i, key, parameters, first, second):
        loss, g = gradient(parameters, key)
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, g)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, g)
        size = rate * 0.5 * (1 + jnp.cos(jnp.pi * i / steps)) * jnp.sqrt(1 - 0.999**i) / (1 - 0.9**i)
        new = jax.tree.map(lambda w, m, v: w - size * m / (jnp.sqrt(v) + 1e-8), parameters, first, second)
        return loss, new, first, second

    key = jax.random.key(seed)
    for i in range(1, steps + 1):
        key, sub = jax.random.split(key)
        loss, parameters, first, second = step(i, sub, parameters, first, second)
        if i % (steps // 5) == 0:
            print(f"  step {i}: loss {float(loss):.4f}", flush=True)
    return parameters


def perceptron(key, sizes):
    """Return weights and biases of a perceptron; the last layer starts near zero."""
    return [
        (jax.random.normal(k, (b, a)) * (0.01 if i == len(sizes) - 2 else 1.4) / jnp.sqrt(a), jnp.zeros(b))
        for i, (k, a, b) in enumerate(
            zip(jax.random.split(key, len(sizes) - 1), sizes[:-1], sizes[1:], strict=True)
        )
    ]


def apply(layers, x):
    """Return the outputs of a perceptron with one hidden layer."""
    (w1, b1), (w2, b2) = layers
    return jnp.maximum(x @ w1.T + b1, 0) @ w2.T + b2


def train_flow(pixels, rng):
    """Return tensors and description of the flow."""
    mean, std = pixels.mean(0), np.sqrt(pixels.var(0) + 1 / 12)
    halves = []
    for _ in range(COUPLINGS // 2):
        order = rng.permutation(64)
        halves += [(np.sort(order[:32]), np.sort(order[32:])), (np.sort(order[32:]), np.sort(order[:32]))]
    keys = jax.random.split(jax.random.key(0), 2 * COUPLINGS)
    parameters = [
        {
            "scale": perceptron(keys[2 * i], (32, WIDTH, 32)),
            "shift": perceptron(keys[2 * i + 1], (32, WIDTH, 32)),
        }
        for i in range(COUPLINGS)
    ]
    data = jnp.array(pixels)

    def loss(parameters, key):
        pick, noise = jax.random.split(key)
        batch = data[jax.random.randint(pick, (256,), 0, len(data))]
        x = (batch + jax.random.uniform(noise, batch.shape) - 0.5 - mean) / std
        jacobian = 0.0
        for (keep, change), layer in zip(reversed(halves), reversed(parameters), strict=True):
            logarithm = jnp.tanh(apply(layer["scale"], x[:, keep]))
            x = x.at[:, change].set((x[:, change] - apply(layer["shift"], x[:, keep])) * jnp.exp(-logarithm))
            jacobian += logarithm.sum(1)
        decay = sum(jnp.sum(w**2) for layer in parameters for net in layer.values() for w, _ in net)
        return (0.5 * (x**2).sum(1) + jacobian).mean() / 64 + 1e-5 * decay

    trained = adam(jax.value_and_grad(loss), parameters, 4000, 2e-3, 1)
    tensors, layers = {}, []
    for i, ((keep, change), layer) in enumerate(zip(halves, trained, strict=True)):
        described = {"type": "coupling", "keep": keep.tolist(), "change": change.tolist()}
        for name, net in layer.items():
            parts = []
            for j, (w, b) in enumerate(net):
                tensors[f"{i}.{name}.{j}.weight"], tensors[f"{i}.{name}.{j}.bias"] = w, b
                parts.append(
                    {"type": "dense", "weight": f"{i}.{name}.{j}.weight", "bias": f"{i}.{name}.{j}.bias"}
                )
                if j == 0:
                    parts.append({"type": "activation", "f": "relu"})
            described[name] = [*parts, {"type": "activation", "f": "tanh"}] if name == "scale" else parts
        layers.append(described)
    # Back to pixels between 0 and 1.
    tensors["pixel.scale"], tensors["pixel.shift"] = std / 16, mean / 16
    layers.append({"type": "affine", "scale": "pixel.scale", "shift": "pixel.shift"})
    return tensors, {"latents": 64, "layers": layers}


def transposed(x, w):
    """Transposed convolution with kernel 4, stride 2, padding 1; w is (in, out, 4, 4)."""
    return jax.lax.conv_general_dilated(
        x,
        jnp.flip(w, (2, 3)).transpose(1, 0, 2, 3),
        (1, 1),
        ((2, 2), (2, 2)),
        lhs_dilation=(2, 2),
        dimension_numbers=("NCHW", "OIHW", "NCHW"),
    )


def train_convolutional(pixels):
    """Return tensors and description of the convolutional generator."""
    a, b = CHANNELS
    keys = jax.random.split(jax.random.key(2), 3)
    parameters = {
        "dense.weight": jax.random.normal(keys[0], (4 * a, LATENT)) * 1.4 / jnp.sqrt(LATENT),
        "dense.bias": jnp.zeros(4 * a),
        "conv1.weight": jax.random.normal(keys[1], (a, b, 4, 4)) * 1.4 / jnp.sqrt(4 * a),
        "conv1.bias": jnp.zeros(b),
        "conv2.weight": jax.random.normal(keys[2], (b, 1, 4, 4)) / jnp.sqrt(4 * b),
        "conv2.bias": jnp.full(1, -1.0),
    }
    data = jnp.array(pixels / 16)

    def generate(p, z):
        x = z @ p["dense.weight"].T + p["dense.bias"]
        x = jnp.where(x > 0, x, 0.2 * x).reshape(-1, a, 2, 2)
        x = transposed(x, p["conv1.weight"]) + p["conv1.bias"][None, :, None, None]
        x = jnp.where(x > 0, x, 0.2 * x)
        x = transposed(x, p["conv2.weight"]) + p["conv2.bias"][None, :, None, None]
        return jax.nn.sigmoid(x).reshape(-1, 64)

    def distance(x, y):
        squares = (x**2).sum(1)[:, None] + (y**2).sum(1)[None] - 2 * x @ y.T
        return jnp.sqrt(jnp.maximum(squares, 0) + 1e-6)

    def loss(p, key):
        pick, draw = jax.random.split(key)
        real = data[jax.random.randint(pick, (384,), 0, len(data))]
        made = generate(p, jax.random.normal(draw, (384, LATENT)))
        own = distance(made, made).sum() / (384 * 383)
        return 2 * distance(made, real).mean() - own

    trained = adam(jax.value_and_grad(loss), parameters, 5000, 2e-3, 3)
    leaky = {"type": "activation", "f": "leaky_relu", "slope": 0.2}

    def convolution(name, shape):
        return {
            "type": "conv_transpose2d",
            "weight": f"{name}.weight",
            "bias": f"{name}.bias",
            "input": shape,
            "stride": 2,
            "padding": 1,
        }

    layers = [
        {"type": "dense", "weight": "dense.weight", "bias": "dense.bias"},
        leaky,
        convolution("conv1", [a, 2, 2]),
        leaky,
        convolution("conv2", [b, 4, 4]),
        {"type": "activation", "f": "sigmoid"},
    ]
    return trained, {"latents": LATENT, "layers": layers}


def main():
    """Train both and write the files."""
    pixels = load_digits().data
    OUT.mkdir(exist_ok=True)
    for name, (tensors, description) in {
        "digits_flow": train_flow(pixels, np.random.default_rng(0)),
        "digits_convolutional": train_convolutional(pixels),
    }.items():
        arrays = {key: np.asarray(value) for key, value in tensors.items()}
        write_safetensors(OUT / f"{name}.safetensors", arrays, {"hmm_rs": json.dumps(description)})
        print(name, (OUT / f"{name}.safetensors").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
