export { IntegrityError } from "./errors.js";
export { SealedWebSocket } from "./sealed-websocket.js";
