"""What one request may ask for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of a service.

    Attributes:
        max_bytes: Largest body of a request.
        max_pixels: Larger pictures are refused before they are decoded.
        max_together: Pixels of all pictures of a request; the pictures beyond are refused.
        max_images: Images per request.
        seconds: For the body to arrive, and again for the answer.
        waiting: Requests at work or in line; further ones are told to come back.
        held: Bytes of all clients' bodies in memory at once; further ones are told to come back.
    """

    max_bytes: int = 32_000_000
    max_pixels: int = 50_000_000
    max_together: int = 200_000_000
    max_images: int = 64
    seconds: float = 30.0
    waiting: int = 2048
    held: int = 256_000_000
