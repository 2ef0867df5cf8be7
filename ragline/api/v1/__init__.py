"""`/v1` as a base URL for OpenAI's clients: files, vector stores, which are our collections, and responses."""

from __future__ import annotations

from fastapi import APIRouter

from ragline.api.v1 import file_batches, files, responses, search, vector_store_files, vector_stores

router = APIRouter()
for room in (files, vector_stores, vector_store_files, file_batches, search, responses):
    router.routes += room.router.routes
