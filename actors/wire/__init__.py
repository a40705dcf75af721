"""Wire forms: how each schema is packed, unpacked, carried and fingerprinted. Used by the codec."""
