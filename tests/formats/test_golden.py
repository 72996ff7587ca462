"""The tensors that the unit tests compare packed numbers with are those that numpy makes."""

import golden
import numpy as np

import packed


def test_the_committed_file_is_what_the_script_writes(tmp_path):
    golden.write(tmp_path / "packed.safetensors")
    made = packed.read_tensors(tmp_path / "packed.safetensors")
    stored = packed.read_tensors(golden.PATH)
    assert made.keys() == stored.keys()
    for name, tensor in made.items():
        assert [tensor[0], list(tensor[1]), tensor[2]] == [*stored[name]], name


def test_the_tables_have_the_known_values():
    """E2M1 and the corners of E4M3, written out."""
    assert packed.E2M1.tolist() == [0, 0.5, 1, 1.5, 2, 3, 4, 6, 0, -0.5, -1, -1.5, -2, -3, -4, -6]
    known = {0x01: 2.0**-9, 0x07: 7 * 2.0**-9, 0x08: 2.0**-6, 0x38: 1, 0x39: 1.125, 0x7E: 448,
             0x7F: 0, 0xFF: 0, 0x80: 0, 0xB8: -1, 0xFE: -448}
    assert {byte: packed.E4M3[byte] for byte in known} == known


def test_ties_go_to_the_even_code():
    values = np.array([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5, 5.01, -0.1, 0.0], np.float32)
    assert golden.e2m1_even(values).tolist() == [0, 2, 2, 4, 4, 6, 6, 7, 8, 0]
