"""The provider's interfaces, typed: Partner Center, sign-in, Graph exports, certificates."""
