// Its precompiled headers are what other libraries reuse.
