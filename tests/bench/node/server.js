'use strict';
// What reelbus-producer does with the plain webhook, in Node with http, kafkajs and avsc: the secret in constant time, the JSON
// checked, an Avro event with CloudEvents headers, acks=all from an idempotent producer, the answer after the acknowledgement.
// Usage: node server.js PORT BROKERS TOPIC, with VIDEO_WEBHOOK_SECRET and AVRO_FINGERPRINT. Prints how many it answered
// 200 when it ends.

const avro = require('avsc');
const crypto = require('node:crypto');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { Kafka, logLevel } = require('kafkajs');

const [port, brokers, topic] = process.argv.slice(2);
const BODY_MAX_BYTES = 64 << 10;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const key = crypto.randomBytes(32);
const digest = text => crypto.createHmac('sha256', key).update(text).digest();
const secret = digest(process.env.VIDEO_WEBHOOK_SECRET);

const schema = fs.readFileSync(path.join(__dirname, '../../../schemas/video_webhook_received.avsc'), 'utf8');
const type = avro.Type.forSchema(JSON.parse(schema), { wrapUnions: false });
const prefix = Buffer.from('c301' + process.env.AVRO_FINGERPRINT, 'hex'); // Avro's single-object encoding

const kafka = new Kafka({ clientId: 'bench-node', brokers: brokers.split(','), logLevel: logLevel.ERROR });
const producer = kafka.producer({ idempotent: true, allowAutoTopicCreation: false });
let delivered = 0;

class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

function checkSecret(given) {
  if (typeof given !== 'string' || !crypto.timingSafeEqual(digest(given), secret)) throw new Refusal(401, 'Unauthorized');
}

function isUrl(text) {
  try {
    return /^https?:$/.test(new URL(text).protocol);
  } catch {
    return false;
  }
}

function readNotice(body) {
  let object;
  try {
    object = JSON.parse(body);
  } catch {
    throw new Refusal(400, 'the body is no valid JSON');
  }
  const { videoId, videoUrl, status } = object ?? {};
  if (typeof videoId !== 'string' || !UUID.test(videoId)) throw new Refusal(400, 'videoId must be a UUID');
  if (status !== 'completed' && status !== 'failed') throw new Refusal(400, "status must be 'completed' or 'failed'");
  if (status === 'completed' && !isUrl(videoUrl)) throw new Refusal(400, 'videoUrl must be a URL');
  return { videoId: videoId.toLowerCase(), videoUrl: status === 'completed' ? videoUrl : null, status };
}

function makeMessage({ videoId, videoUrl, status }, traceparent) {
  const event = {
    event_id: crypto.randomUUID(), video_id: videoId, user_id: null, status, video_url: videoUrl, scheme: 'plain',
    provider: null, provider_video_id: null, webhook_id: null, error_code: null, error_message: null, expires_at: null,
    checked: false, received_at: Date.now(),
  };
  const trace = traceparent ?? `00-${crypto.randomBytes(16).toString('hex')}-${crypto.randomBytes(8).toString('hex')}-01`;
  return {
    key: videoId,
    value: Buffer.concat([prefix, type.toBuffer(event)]),
    headers: {
      ce_specversion: '1.0', ce_id: event.event_id, ce_source: 'bench-node', ce_type: 'video.webhook.received',
      ce_subject: videoId, ce_time: new Date(event.received_at).toISOString(), 'content-type': 'application/avro',
      traceparent: trace,
    },
  };
}

function readBody(request) {
  return new Promise((resolve, reject) => {
    const pieces = [];
    let bytes = 0;
    request.on('data', piece => {
      bytes += piece.length;
      if (bytes > BODY_MAX_BYTES) reject(new Refusal(413, 'the body is too large'));
      else pieces.push(piece);
    });
    request.on('end', () => resolve(Buffer.concat(pieces).toString('utf8')));
    request.on('error', reject);
  });
}

function answer(response, status, object) {
  const text = JSON.stringify(object);
  response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
  response.end(text);
}

async function receive(request, response) {
  try {
    const body = await readBody(request);
    if (request.url !== '/api/webhook/video-complete' || request.method !== 'POST') throw new Refusal(404, 'nothing here');
    checkSecret(request.headers['x-webhook-secret']);
    await producer.send({ topic, acks: -1, messages: [makeMessage(readNotice(body), request.headers.traceparent)] });
    delivered++;
    answer(response, 200, { success: true });
  } catch (error) {
    answer(response, error.status ?? 503, { error: error.message });
  }
}

async function main() {
  await producer.connect();
  http.createServer(receive).listen(Number(port), '127.0.0.1');
  process.on('SIGTERM', () => {
    console.log(`delivered ${delivered}`);
    process.exit(0);
  });
}

main();
