"""FastAPI as its tutorial has it: a page, forms, files, streams and a WebSocket. Run by uvicorn."""

import asyncio
import hashlib
from pathlib import Path

from fastapi import FastAPI, Request, Response, UploadFile, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse, RedirectResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles

MIB = 1024 * 1024

app = FastAPI()
app.mount("/static", StaticFiles(directory=Path(__file__).parent), name="static")


@app.get("/", response_class=HTMLResponse)
async def page():
    return "<h1>FastAPI</h1>"


@app.get("/login")
async def login():
    answer = RedirectResponse("/items/")
    answer.set_cookie("session", "one")
    answer.set_cookie("theme", "dark")
    return answer


@app.get("/items/")
async def items(request: Request):
    return {"url": str(request.url), "cookies": request.cookies, "client": request.client.host}


@app.post("/upload")
async def upload(file: UploadFile):
    content = await file.read()
    return {"name": file.filename, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}


@app.put("/stream")
async def received(request: Request):
    size = 0
    async for part in request.stream():
        size += len(part)
    return {"size": size, "chunked": request.headers.get("transfer-encoding") == "chunked"}


@app.get("/download")
async def download(mib: int):
    def parts():
        for number in range(mib):
            yield bytes([number % 256]) * MIB

    return StreamingResponse(parts(), media_type="application/octet-stream")


@app.get("/events")
async def events(pause: float = 0.2):
    async def stream():
        for number in range(5):
            yield f"data: {number}\n\n"
            await asyncio.sleep(pause)

    return StreamingResponse(stream(), media_type="text/event-stream")


@app.get("/poll")
async def poll(seconds: float):
    await asyncio.sleep(seconds)
    return {"waited": seconds}


@app.delete("/items/{name}", status_code=204)
async def delete(name: str):
    return Response(status_code=204)


@app.websocket("/ws")
async def socket(websocket: WebSocket):
    await websocket.accept()
    try:
        while True:
            await websocket.send_text(await websocket.receive_text())
    except WebSocketDisconnect:
        pass
