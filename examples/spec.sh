#!/usr/bin/env bash
# Runs every curl line of the API document, in its order, against a running Ragline, and checks each answer.
#
#   RAGLINE_KEY=sk-… examples/spec.sh            # the key that `ragline serve` printed at its first start
#   RAGLINE_URL=http://127.0.0.1:3000            # where the server is
#   RAGLINE_KEY= examples/spec.sh                # a server with auth.enabled off: the lines without a token as printed
#
# Exits 0 only if every status and the fields that clients read are right.
set -uo pipefail

url=${RAGLINE_URL:-http://localhost:3000}
key=${RAGLINE_KEY-}
token=(${key:+-H "Authorization: Bearer $key"})
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

# call NAME STATUS PYTHON_CONDITION_ON_r CURL_ARGUMENTS…   The answer is left in $work/NAME.
call() {
    local name=$1 status=$2 condition=$3 got
    shift 3
    got=$(curl --silent --show-error --max-time 300 --output "$work/$name" --write-out '%{http_code}' "$@")
    echo "── $name: HTTP $got"
    part "$work/$name" 0 1500
    if [ "$got" != "$status" ] || ! check "$work/$name" "$condition"; then
        echo "   NOT AS THE DOCUMENT SAYS: wanted HTTP $status and $condition; the answer ends with:"
        part "$work/$name" -400 400
        failures=$((failures + 1))
    fi
}

# part FILE FROM LENGTH: characters of an answer, never half of one; a FROM below 0 counts from its end.
part() {
    python3 -X utf8 -c 'import sys; print(open(sys.argv[1], errors="replace").read()[int(sys.argv[2]) :][: int(sys.argv[3])])' "$@"
}

# check FILE CONDITION: r is the JSON of the file, or the list of its lines where it is a stream of JSON.
check() {
    python3 - "$1" "$2" <<'PYTHON'
import json, sys
text = open(sys.argv[1], encoding="utf-8").read()
try:
    r = json.loads(text)
except ValueError:
    r = [json.loads(line) for line in text.splitlines() if line.strip()]
sys.exit(0 if eval(sys.argv[2]) else 1)
PYTHON
}

field() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$work/$1" "$2"; }

completion='r["object"] == "chat.completion" and r["choices"][0]["message"]["role"] == "assistant" and r["choices"][0]["message"]["content"]'

cat >"$work/ciel.txt" <<'TEXT'
Pourquoi le ciel est-il bleu ?

La lumière du soleil contient toutes les couleurs. Les molécules de l'air diffusent bien plus le bleu que le rouge :
c'est la diffusion de Rayleigh, du nom du physicien qui l'a expliquée en 1871. Le ciel nous paraît donc bleu.
TEXT

# 📜 Récupérer tous les modèles
call models 200 '{"llama3.1", "granite3.1-dense:8b", "gpt-4-turbo"} <= {m["id"].removesuffix(":latest") for m in r["data"]}' \
    "${token[@]}" "$url/api/models"

# 💬 Complétions de chat
call chat 200 "$completion" -X POST "$url/api/chat/completions" \
    "${token[@]}" \
    -H "Content-Type: application/json" \
    -d '{
      "model": "llama3.1",
      "messages": [
        {
          "role": "user",
          "content": "Pourquoi le ciel est-il bleu ?"
        }
      ]
    }'
call chat-python 200 "$completion" -X POST "$url/api/chat/completions" \
    "${token[@]}" \
    -H "Content-Type: application/json" \
    -d '{"model": "granite3.1-dense:8b", "messages": [{"role": "user", "content": "Pourquoi le ciel est-il bleu ?"}]}'

# 🦙 Support du proxy API Ollama: these lines carry no token, so they answer as printed where auth is off
if [ -n "$key" ]; then
    call ollama-without-token 401 '"detail" in r' "$url/ollama/api/tags"
fi
call ollama-generate 200 'r[-1]["done"] is True and "".join(line["response"] for line in r)' \
    "${token[@]}" "$url/ollama/api/generate" -d '{
  "model": "llama3.2",
  "prompt": "Pourquoi le ciel est-il bleu ?"
}'
call ollama-tags 200 'len(r["models"]) > 0 and all(m["name"] and m["model"] for m in r["models"])' \
    "${token[@]}" "$url/ollama/api/tags"
call ollama-embed 200 'len(r["embeddings"]) == 2 and len(r["embeddings"][0]) == len(r["embeddings"][1]) > 0' \
    -X POST "${token[@]}" "$url/ollama/api/embed" -d '{
  "model": "llama3.2",
  "input": ["Open WebUI est génial !", "Générons des embeddings."]
}'

# 🧩 Téléchargement de fichiers
call upload 200 'r["id"] and r["filename"] == "ciel.txt" and r["data"]["status"] == "pending"' \
    -X POST "${token[@]}" -H "Accept: application/json" \
    -F "file=@$work/ciel.txt" "$url/api/v1/files/"
file_id=$(field upload id)

# Ajouter des fichiers aux collections de connaissances (the document takes a collection for granted)
call knowledge-create 200 'r["id"] and r["name"] == "Optique"' -X POST "$url/api/v1/knowledge/create" \
    "${token[@]}" -H "Content-Type: application/json" -d '{"name": "Optique", "description": "Le ciel et la lumière"}'
knowledge_id=$(field knowledge-create id)
call knowledge-add 200 '[f["id"] for f in r["files"]] == ["'"$file_id"'"]' \
    -X POST "$url/api/v1/knowledge/$knowledge_id/file/add" \
    "${token[@]}" \
    -H "Content-Type: application/json" \
    -d '{"file_id": "'"$file_id"'"}'

# Utiliser un fichier individuel, puis une collection, dans les complétions de chat
sourced="$completion"' and "Rayleigh" in r["sources"][0]["document"][0] and r["sources"][0]["metadata"][0]["name"] == "ciel.txt"'
call chat-file 200 "$sourced" -X POST "$url/api/chat/completions" \
    "${token[@]}" \
    -H "Content-Type: application/json" \
    -d '{
      "model": "gpt-4-turbo",
      "messages": [
        {"role": "user", "content": "Expliquez les concepts dans ce document."}
      ],
      "files": [
        {"type": "file", "id": "'"$file_id"'"}
      ]
    }'
call chat-collection 200 "$sourced" -X POST "$url/api/chat/completions" \
    "${token[@]}" \
    -H "Content-Type: application/json" \
    -d '{
      "model": "gpt-4-turbo",
      "messages": [
        {"role": "user", "content": "Fournissez des informations sur les perspectives historiques couvertes dans la collection."}
      ],
      "files": [
        {"type": "collection", "id": "'"$knowledge_id"'"}
      ]
    }'

echo
if [ "$failures" = 0 ]; then
    echo "Every line of the document answers as it says."
else
    echo "$failures of the answers are not as the document says."
    exit 1
fi
