"""Blocks as tutorials, terminals, editors and chat programs give them: each with the commands in it, by kind, tab and
values (but for the default engine and method), and why words are left out."""

# ruff: noqa: E501

Command = tuple[str, str, dict[str, object]]

BLOCKS: list[tuple[str, list[Command], list[str]]] = [
    (
        "lmdeploy serve api_server \\\n    /root/models/internlm2_5-7b-chat \\\n    --model-format hf \\\n    --quant-policy 0 \\\n    --server-name 0.0.0.0 \\\n    --server-port 23333 \\\n    --tp 1",
        [
            (
                "serve",
                "deploy",
                {
                    "model": "/root/models/internlm2_5-7b-chat",
                    "model_format": "hf",
                    "quant_policy": "0",
                    "port": "23333",
                    "tp": "1",
                },
            )
        ],
        ["owned"],
    ),
    (
        "xinference launch -n qwen2 -s 7",
        [("serve", "deploy", {"model": "qwen2"})],
        ["flag_unknown", "unknown"],
    ),
    (
        "conda activate lmdeploy\nlmdeploy chat /root/models/internlm2_5-7b-chat --cache-max-entry-count 0.4",
        [("serve", "deploy", {"model": "/root/models/internlm2_5-7b-chat", "cache_max_entry_count": "0.4"})],
        ["environment"],
    ),
    (
        "conda activate lmdeploy && CUDA_VISIBLE_DEVICES=0,1 nohup lmdeploy serve api_server /m --tp=2 > log.txt 2>&1 &",
        [("serve", "deploy", {"gpus": ["0", "1"], "model": "/m", "tp": "2"})],
        ["environment", "redirection", "wrapper"],
    ),
    (
        "lmdeploy serve api_server \\\n    /root/models/internlm2_5-7b-chat-w4a16-4bit/ \\\n    --model-format awq \\\n    --quant-policy 4 \\\n    --cache-max-entry-count 0.4\\\n    --server-name 0.0.0.0 \\\n    --server-port 23333 \\\n    --tp 1",
        [
            (
                "serve",
                "deploy",
                {
                    "model": "/root/models/internlm2_5-7b-chat-w4a16-4bit/",
                    "model_format": "awq",
                    "quant_policy": "4",
                    "cache_max_entry_count": "0.4",
                    "port": "23333",
                    "tp": "1",
                },
            )
        ],
        ["owned"],
    ),
    (
        "lmdeploy serve api_server ./workspace --server_name 0.0.0.0 --server_port 23333 --instance_num 64 --tp 1",
        [("serve", "deploy", {"model": "./workspace", "port": "23333", "tp": "1"})],
        ["flag_batch", "owned"],
    ),
    (
        "lmdeploy convert internlm-chat-7b /root/share/internlm-chat-7b\nlmdeploy chat turbomind ./workspace",
        [
            ("convert", "deploy", {"model": "/root/share/internlm-chat-7b"}),
            ("serve", "deploy", {"model": "/root/share/internlm-chat-7b"}),
        ],
        ["convert_flag"],
    ),
    (
        "lmdeploy convert internlm2-chat-7b /root/m --dst-path ./ws --model-format hf\nlmdeploy serve api_server ./ws --tp 1",
        [("convert", "deploy", {"model": "/root/m"}), ("serve", "deploy", {"model": "/root/m", "tp": "1"})],
        ["convert_flag"],
    ),
    (
        "python3 -m lmdeploy.serve.turbomind.deploy internlm-chat-7b /root/m\npython3 -m lmdeploy.turbomind.chat ./workspace",
        [("convert", "deploy", {"model": "/root/m"}), ("serve", "deploy", {"model": "/root/m"})],
        ["convert_flag"],
    ),
    (
        "python -m lmdeploy.serve.openai.api_server ./workspace 0.0.0.0 23333 --instance_num 32 --tp 1",
        [("serve", "deploy", {"model": "./workspace", "port": "23333", "tp": "1"})],
        ["flag_batch", "owned"],
    ),
    (
        "lmdeploy serve gradio http://localhost:23333 --server-name 0.0.0.0 --server-port 6006",
        [("address", "chat", {"address": "http://localhost:23333"})],
        ["client_flag"],
    ),
    (
        "lmdeploy serve gradio http://0.0.0.0:23333 --server_name 0.0.0.0 --server_port 6006 --restful_api True",
        [("address", "chat", {"address": "http://0.0.0.0:23333"})],
        ["client_flag"],
    ),
    ("lmdeploy serve gradio /m --server-port 6006", [("serve", "deploy", {"model": "/m", "port": "6006"})], []),
    (
        "lmdeploy serve api_client http://localhost:23333",
        [("address", "chat", {"address": "http://localhost:23333"})],
        [],
    ),
    ("lmdeploy serve triton_client localhost:33337", [("address", "chat", {"address": "http://localhost:33337"})], []),
    (
        "lmdeploy lite auto_awq \\\n   /root/models/internlm2_5-7b-chat \\\n  --calib-dataset 'ptb' \\\n  --calib-samples 128 \\\n  --calib-seqlen 2048 \\\n  --w-bits 4 \\\n  --w-group-size 128 \\\n  --batch-size 1 \\\n  --search-scale False \\\n  --work-dir /root/models/internlm2_5-7b-chat-w4a16-4bit",
        [
            (
                "lite",
                "quantize",
                {
                    "model": "/root/models/internlm2_5-7b-chat",
                    "dataset": "wikitext2",
                    "samples": "128",
                    "seqlen": "2048",
                    "bits": "4",
                    "group_size": "128",
                    "batch_size": "1",
                    "search_scale": False,
                    "output": "/root/models/internlm2_5-7b-chat-w4a16-4bit",
                },
            )
        ],
        [],
    ),
    (
        "lmdeploy lite calibrate /m --calib_dataset ptb --calib_samples 64 --work_dir w\nlmdeploy lite auto_awq /m --w_bits 4 --w_group_size 128 --work_dir w",
        [
            (
                "lite",
                "quantize",
                {
                    "model": "/m",
                    "dataset": "wikitext2",
                    "samples": "64",
                    "bits": "4",
                    "group_size": "128",
                    "output": "w",
                },
            )
        ],
        [],
    ),
    (
        "lmdeploy lite auto_awq /m --calib-dataset c4 --calib-samples 0 --device cuda --search-scale --w_sym True",
        [
            (
                "lite",
                "quantize",
                {
                    "model": "/m",
                    "dataset": "none",
                    "samples": "128",
                    "device": "cuda:0",
                    "search_scale": True,
                    "symmetric": True,
                },
            )
        ],
        [],
    ),
    (
        "HF_ENDPOINT=https://hf-mirror.com CUDA_VISIBLE_DEVICES=1 lmdeploy lite auto_awq /m --calib-dataset wikitext --dtype fp16",
        [
            (
                "lite",
                "quantize",
                {
                    "mirror": "https://hf-mirror.com",
                    "device": "cuda:1",
                    "model": "/m",
                    "dataset": "wikitext2",
                    "dtype": "float16",
                },
            )
        ],
        ["mirror"],
    ),
    (
        "lmdeploy lite kv_qparams w workspace/triton_models/weights --num_tp 1",
        [("advice", "deploy", {})],
        ["kv_qparams"],
    ),
    (
        "lmdeploy lite smooth_quant /m --work-dir w --quant-dtype fp8",
        [("lite", "quantize", {"model": "/m", "output": "w", "method": "smooth_quant", "quant_dtype": "fp8"})],
        [],
    ),
    (
        "lmdeploy lite smooth_quant /m --quant-dtype=float8_e4m3fn",
        [("lite", "quantize", {"model": "/m", "method": "smooth_quant", "quant_dtype": "fp8"})],
        [],
    ),
    ("lmdeploy lite auto_gptq /m", [("advice", "quantize", {})], ["gptq"]),
    (
        "python -m lmdeploy.lite.apis.auto_awq --model /m --w_bits 4",
        [("lite", "quantize", {"model": "/m", "bits": "4"})],
        [],
    ),
    ("lmdeploy serve proxy --server-name 0.0.0.0", [("advice", "deploy", {})], ["proxy"]),
    (
        "ssh -CNg -L 6006:127.0.0.1:6006 root@ssh.intern-ai.org.cn -p 41682\nlmdeploy serve gradio http://localhost:23333",
        [
            ("login", "deploy", {"login": "ssh -CNg -L 6006:127.0.0.1:6006 root@ssh.intern-ai.org.cn -p 41682"}),
            ("address", "chat", {"address": "http://localhost:23333"}),
        ],
        [],
    ),
    (
        'ssh root@gpu "lmdeploy serve api_server /m"',
        [("login", "deploy", {"login": "ssh root@gpu"}), ("serve", "deploy", {"model": "/m"})],
        [],
    ),
    ("nvidia-smi", [("advice", "vram", {})], ["smi"]),
    ("(lmdeploy) root@intern-studio:~# studio-smi", [("advice", "vram", {})], ["prompt", "smi"]),
    ("watch -n 1 nvidia-smi", [("advice", "vram", {})], ["smi"]),
    ("du -sh /root/models/*", [("advice", "quantize", {})], ["du"]),
    ('python -c "import lmdeploy"', [("advice", "deploy", {})], ["about"]),
    ("pip install lmdeploy==0.5.3 && lmdeploy check_env", [("advice", "deploy", {})], ["about", "install"]),
    (
        "git clone https://huggingface.co/internlm/internlm2_5-1_8b-chat",
        [("download", "deploy", {"model": "internlm/internlm2_5-1_8b-chat"})],
        [],
    ),
    (
        "huggingface-cli download --resume-download Qwen/Qwen2.5-7B --local-dir x",
        [("download", "deploy", {"model": "Qwen/Qwen2.5-7B"})],
        [],
    ),
    (
        "modelscope download --model Qwen/Qwen2.5-7B --local_dir ./q",
        [("download", "deploy", {"model": "Qwen/Qwen2.5-7B"})],
        [],
    ),
    (
        "curl http://localhost:23333/v1/models",
        [("address", "chat", {"address": "http://localhost:23333/v1/models"})],
        [],
    ),
    ("http://127.0.0.1:23333", [("address", "chat", {"address": "http://127.0.0.1:23333"})], []),
    (
        "cd /root/models\nln -s /root/share/new_models/Shanghai_AI_Laboratory/internlm2_5-7b-chat /root/models\nlmdeploy chat internlm2_5-7b-chat",
        [("serve", "deploy", {"model": "internlm2_5-7b-chat"})],
        ["folders"],
    ),
    (
        "from lmdeploy import pipeline, TurbomindEngineConfig\npipe = pipeline('internlm/internlm2_5-7b-chat',\n                backend_config=TurbomindEngineConfig(cache_max_entry_count=0.4, quant_policy=4, tp=2))\nprint(pipe(['hi']))",
        [
            (
                "serve",
                "deploy",
                {
                    "cache_max_entry_count": "0.4",
                    "quant_policy": "4",
                    "tp": "2",
                    "model": "internlm/internlm2_5-7b-chat",
                },
            )
        ],
        ["code", "variable_left"],
    ),
    (
        '>>> from lmdeploy import pipeline\n>>> pipe = pipeline("/m")',
        [("serve", "deploy", {"model": "/m"})],
        ["code", "prompt"],
    ),
    (
        "python -m vllm.entrypoints.openai.api_server --model Qwen/Qwen2.5-7B-Instruct --tensor-parallel-size 2 --gpu-memory-utilization 0.9 --max-model-len 32k --trust-remote-code",
        [
            (
                "serve",
                "deploy",
                {"model": "Qwen/Qwen2.5-7B-Instruct", "tp": "2", "session_len": "32000", "trust_remote_code": True},
            )
        ],
        ["memory_share"],
    ),
    (
        "vllm serve Qwen/Qwen2.5-7B-Instruct-AWQ -tp 2 --quantization awq --kv-cache-dtype fp8 --enable-auto-tool-choice --tool-call-parser hermes --max-num-seqs 64 --foo bar",
        [
            (
                "serve",
                "deploy",
                {
                    "model": "Qwen/Qwen2.5-7B-Instruct-AWQ",
                    "tp": "2",
                    "model_format": "awq",
                    "quant_policy": "8",
                    "extra": "--max-batch-size 64",
                },
            )
        ],
        ["flag_unknown", "parser", "tools"],
    ),
    (
        "python3 -m sglang.launch_server --model-path Qwen/Qwen3-8B --tp 2 --mem-fraction-static 0.8 --port 30000 --host 0.0.0.0",
        [("serve", "deploy", {"model": "Qwen/Qwen3-8B", "tp": "2", "port": "30000"})],
        ["memory_share", "owned"],
    ),
    (
        "sglang serve --model-path Qwen/Qwen3-8B --context-length 8192",
        [("serve", "deploy", {"model": "Qwen/Qwen3-8B", "session_len": "8192"})],
        [],
    ),
    ("ollama run qwen2.5:7b", [("advice", "deploy", {})], ["ollama"]),
    ("ollama serve", [("advice", "deploy", {})], ["ollama_server"]),
    (
        "text-generation-launcher --model-id bigscience/bloom --num-shard 2",
        [("serve", "deploy", {"model": "bigscience/bloom", "tp": "2"})],
        [],
    ),
    (
        "transformers serve Qwen/Qwen2.5-0.5B --port 8000",
        [("serve", "deploy", {"engine": "transformers", "model": "Qwen/Qwen2.5-0.5B", "port": "8000"})],
        [],
    ),
    ("llama-server -m model.gguf -c 4096", [("serve", "deploy", {"session_len": "4096"})], []),
    (
        'docker run --runtime nvidia --gpus all \\\n    -v ~/.cache/huggingface:/root/.cache/huggingface \\\n    --env "HUGGING_FACE_HUB_TOKEN=<secret>" \\\n    -p 23333:23333 \\\n    --ipc=host \\\n    openmmlab/lmdeploy:latest \\\n    lmdeploy serve api_server internlm/internlm2_5-7b-chat',
        [("serve", "deploy", {"port": "23333", "model": "internlm/internlm2_5-7b-chat"})],
        ["docker", "hub_variable"],
    ),
    (
        "docker run -v /data:/models -p 8000:23333 --gpus '\"device=0,1\"' openmmlab/lmdeploy lmdeploy serve api_server /models/x --server-port 23333",
        [("serve", "deploy", {"gpus": ["0", "1"], "port": "8000", "model": "/data/x"})],
        ["docker"],
    ),
    (
        "docker run --gpus all -p 8000:8000 vllm/vllm-openai:latest --model mistralai/Mistral-7B-v0.1",
        [("serve", "deploy", {"port": "8000", "model": "mistralai/Mistral-7B-v0.1"})],
        ["docker"],
    ),
    ('docker exec -it c bash -c "lmdeploy serve api_server /m"', [("serve", "deploy", {"model": "/m"})], ["docker"]),
    (
        'bash -c "conda activate x && lmdeploy serve api_server /m --tp 2"',
        [("serve", "deploy", {"model": "/m", "tp": "2"})],
        ["environment", "wrapper"],
    ),
    (
        'tmux new -d -s lm "lmdeploy serve api_server /m --tp 2"',
        [("serve", "deploy", {"model": "/m", "tp": "2"})],
        ["wrapper"],
    ),
    ('cmd /c "lmdeploy serve api_server m"', [("serve", "deploy", {"model": "m"})], ["wrapper"]),
    ("wsl lmdeploy serve api_server /m", [("serve", "deploy", {"model": "/m"})], ["wrapper"]),
    (
        "srun -p llm --gres=gpu:1 lmdeploy serve api_server /m --tp 1",
        [("serve", "deploy", {"model": "/m", "tp": "1"})],
        ["wrapper"],
    ),
    (
        'sudo -E env "PATH=$PATH" lmdeploy serve api_server /m',
        [("serve", "deploy", {"model": "/m"})],
        ["variable_left", "wrapper"],
    ),
    (
        "conda run -n lmdeploy lmdeploy serve api_server /m",
        [("serve", "deploy", {"model": "/m"})],
        ["environment", "wrapper"],
    ),
    ("time lmdeploy chat /m", [("serve", "deploy", {"model": "/m"})], ["wrapper"]),
    (
        "(cd /root && lmdeploy serve api_server /m --tp 2)",
        [("serve", "deploy", {"model": "/m", "tp": "2"})],
        ["folders"],
    ),
    (
        "nohup lmdeploy serve api_server /m >/dev/null 2>&1 & disown",
        [("serve", "deploy", {"model": "/m"})],
        ["redirection", "unknown", "wrapper"],
    ),
    ("lmdeploy serve api_server /m --tp 2 | tee log.txt", [("serve", "deploy", {"model": "/m", "tp": "2"})], ["looks"]),
    (
        "lmdeploy serve api_server /m --server-port 23333 &\nsleep 5; curl http://localhost:23333/v1/models",
        [
            ("serve", "deploy", {"model": "/m", "port": "23333"}),
            ("address", "chat", {"address": "http://localhost:23333/v1/models"}),
        ],
        ["session"],
    ),
    (
        "cat <<EOF > run.sh\nlmdeploy serve api_server /m --tp 2\nEOF",
        [("serve", "deploy", {"model": "/m", "tp": "2"})],
        ["looks", "redirection", "unknown"],
    ),
    (
        'subprocess.run(["lmdeploy", "serve", "api_server", "/m", "--tp", "2"])',
        [("serve", "deploy", {"model": "/m", "tp": "2"})],
        [],
    ),
    ('os.system("lmdeploy serve api_server /m --tp 2")', [("serve", "deploy", {"model": "/m", "tp": "2"})], []),
    (
        'command:\n  - lmdeploy\n  - serve\n  - api_server\n  - /m\n  - --tp\n  - "2"\nimage: x',
        [("serve", "deploy", {"model": "/m", "tp": "2"})],
        ["unknown"],
    ),
    (
        "export CUDA_VISIBLE_DEVICES=1\nexport MODEL=/root/models/q\nlmdeploy serve api_server $MODEL --server_port 8000",
        [("serve", "deploy", {"gpus": ["1"], "model": "/root/models/q", "port": "8000"})],
        ["variable_left"],
    ),
    (
        '$env:CUDA_VISIBLE_DEVICES="0"; lmdeploy serve api_server m',
        [("serve", "deploy", {"gpus": ["0"], "model": "m"})],
        [],
    ),
    (
        "set CUDA_VISIBLE_DEVICES=0\nlmdeploy serve api_server m",
        [("serve", "deploy", {"gpus": ["0"], "model": "m"})],
        [],
    ),
    (
        "setenv CUDA_VISIBLE_DEVICES 1\nlmdeploy serve api_server /m",
        [("serve", "deploy", {"gpus": ["1"], "model": "/m"})],
        [],
    ),
    (
        "set -x CUDA_VISIBLE_DEVICES 2\nlmdeploy serve api_server /m",
        [("serve", "deploy", {"gpus": ["2"], "model": "/m"})],
        [],
    ),
    (
        "%env CUDA_VISIBLE_DEVICES=0\n!lmdeploy serve api_server /m",
        [("serve", "deploy", {"gpus": ["0"], "model": "/m"})],
        ["prompt"],
    ),
    (
        "CUDA_VISIBLE_DEVICES=0 \\\nlmdeploy serve api_server /m",
        [("serve", "deploy", {"gpus": ["0"], "model": "/m"})],
        [],
    ),
    (
        "LMDEPLOY_USE_MODELSCOPE=True HF_ENDPOINT=https://hf-mirror.com lmdeploy serve api_server Qwen/Qwen2-7B",
        [("serve", "deploy", {"model": "Qwen/Qwen2-7B"})],
        ["hub_variable", "mirror"],
    ),
    ("VAR=/m; lmdeploy chat ${VAR}-chat", [("serve", "deploy", {"model": "/m-chat"})], ["variable_left"]),
    ("$ lmdeploy serve api_server /m", [("serve", "deploy", {"model": "/m"})], ["prompt"]),
    ("# lmdeploy chat /root/m", [("serve", "deploy", {"model": "/root/m"})], ["prompt"]),
    (
        "root@intern-studio:~# lmdeploy chat /root/models/internlm2_5-7b-chat",
        [("serve", "deploy", {"model": "/root/models/internlm2_5-7b-chat"})],
        ["prompt"],
    ),
    ("[root@box ~]# lmdeploy chat /m", [("serve", "deploy", {"model": "/m"})], ["prompt"]),
    ("(base) me@host:/data$ lmdeploy chat /m", [("serve", "deploy", {"model": "/m"})], ["prompt"]),
    ("➜  models git:(main) ✗ lmdeploy chat /m", [("serve", "deploy", {"model": "/m"})], ["before", "prompt"]),
    (">>> !lmdeploy serve api_server m --tp 2", [("serve", "deploy", {"model": "m", "tp": "2"})], ["prompt"]),
    ("In [3]: !lmdeploy chat /m", [("serve", "deploy", {"model": "/m"})], ["prompt"]),
    (
        "PS C:\\Users\\me> lmdeploy serve api_server C:\\models\\internlm2_5-7b `\n    --quant-policy 4 `\n    --tp 1",
        [("serve", "deploy", {"model": "C:\\models\\internlm2_5-7b", "quant_policy": "4", "tp": "1"})],
        ["prompt"],
    ),
    (
        "C:\\Users\\me>lmdeploy serve api_server m ^\n  --tp 2 ^\n  --session-len 4096",
        [("serve", "deploy", {"model": "m", "tp": "2", "session_len": "4096"})],
        ["prompt"],
    ),
    (
        '& "C:\\Program Files\\Python\\Scripts\\lmdeploy.exe" serve api_server m',
        [("serve", "deploy", {"model": "m"})],
        [],
    ),
    ("lmdeploy serve api_server \\\n> /m \\\n> --tp 2", [("serve", "deploy", {"model": "/m", "tp": "2"})], []),
    (
        "lmdeploy serve api_server /m\n  --tp 2\n  --quant-policy 8",
        [("serve", "deploy", {"model": "/m", "tp": "2", "quant_policy": "8"})],
        [],
    ),
    (
        "lmdeploy serve api_server\n/root/models/x\n--tp 2",
        [("serve", "deploy", {"model": "/root/models/x", "tp": "2"})],
        [],
    ),
    ("lmdeploy serve api_server \\\n\n/m \\\n\n--tp 2", [("serve", "deploy", {"model": "/m", "tp": "2"})], []),
    (
        "lmdeploy serve api_server /m \\\n  # two cards\n  --tp 2 \\\n  --session-len 10",
        [("serve", "deploy", {"model": "/m", "tp": "2", "session_len": "10"})],
        ["comment"],
    ),
    (
        "lmdeploy serve api_server \\ /m \\ --tp 2 \\ --quant-policy 4",
        [("serve", "deploy", {"model": "/m", "tp": "2", "quant_policy": "4"})],
        [],
    ),
    (
        "```bash\n# 启动\nlmdeploy serve api_server /m --tp 2   # 两张卡\n```",
        [("serve", "deploy", {"model": "/m", "tp": "2"})],
        ["comment", "fence"],
    ),
    ("Run `lmdeploy chat /m` to talk.", [("serve", "deploy", {"model": "/m"})], ["extra_word", "unknown"]),
    (
        "请运行：lmdeploy serve api_server /m --tp 2，然后打开浏览器。",
        [("serve", "deploy", {"model": "/m", "tp": "2"})],
        ["before"],
    ),
    ("| lmdeploy chat /m | 说明 |", [("serve", "deploy", {"model": "/m"})], ["unknown"]),
    ("> lmdeploy chat /m --tp 2", [("serve", "deploy", {"model": "/m", "tp": "2"})], ["prompt"]),
    (
        "1. lmdeploy serve api_server /m --tp 2\n2) lmdeploy chat /m2",
        [("serve", "deploy", {"model": "/m", "tp": "2"}), ("serve", "deploy", {"model": "/m2"})],
        ["before"],
    ),
    (
        '<pre><code>lmdeploy serve api_server /m <span class="x">--tp</span> 2</code></pre>',
        [("serve", "deploy", {"model": "/m", "tp": "2"})],
        [],
    ),
    (
        "lmdeploy serve api_server /m &#45;&#45;tp 2 &amp;&amp; echo ok",
        [("serve", "deploy", {"model": "/m", "tp": "2"})],
        ["prints"],
    ),
    (
        "lmdeploy serve api\\_server /m --quant\\_policy 4",
        [("serve", "deploy", {"model": "/m", "quant_policy": "4"})],
        [],
    ),
    (
        "lmdeploy serve api_server “/root/my models/m” —tp 2 ——quant-policy 4",
        [("serve", "deploy", {"model": "/root/my models/m", "tp": "2", "quant_policy": "4"})],
        [],
    ),
    (
        "lmdeploy serve api_server /m –-quant-policy 4 －－cache-max-entry-count 0.4",
        [("serve", "deploy", {"model": "/m", "quant_policy": "4", "cache_max_entry_count": "0.4"})],
        [],
    ),
    (
        "lmdeploy\u3000serve\u3000api_server\u3000/m\u3000－－tp\u3000２\u3000——cache－max－entry－count\u3000０．４",
        [("serve", "deploy", {"model": "/m", "tp": "2", "cache_max_entry_count": "0.4"})],
        [],
    ),
    (
        "lmdeploy serve api_server /m −−tp 2 ‐‐session-len 10",
        [("serve", "deploy", {"model": "/m", "tp": "2", "session_len": "10"})],
        [],
    ),
    (
        "lmdeploy serve api-server /m — tp 2 --quant policy 4",
        [("serve", "deploy", {"model": "/m", "tp": "2", "quant_policy": "4"})],
        [],
    ),
    (
        "lmdeploy serve api_server /m ---tp 2 -session_len 10",
        [("serve", "deploy", {"model": "/m", "tp": "2", "session_len": "10"})],
        [],
    ),
    (
        "lmdeploy serve api_server '/root/my models/模型（新）' --tp 1",
        [("serve", "deploy", {"model": "/root/my models/模型（新）", "tp": "1"})],
        [],
    ),
    ("lmdeploy serve api_server /root/模型—测试/m", [("serve", "deploy", {"model": "/root/模型—测试/m"})], []),
    (
        "lmdeploy serve api_server /root/internlm2_5–7b-chat",
        [("serve", "deploy", {"model": "/root/internlm2_5-7b-chat"})],
        [],
    ),
    (
        "lmdeploy serve api_server /m --tp:2 --session-len：4096 --dtype = half",
        [("serve", "deploy", {"model": "/m", "tp": "2", "session_len": "4096", "dtype": "float16"})],
        [],
    ),
    ("LMDEPLOY SERVE API_SERVER /m --TP 2", [("serve", "deploy", {"model": "/m", "tp": "2"})], []),
    ("/root/.conda/envs/lmdeploy/bin/lmdeploy serve api_server /m", [("serve", "deploy", {"model": "/m"})], []),
    ("python3.10 -u -m lmdeploy serve api_server /m", [("serve", "deploy", {"model": "/m"})], []),
    (
        "lmdeploy serve api_server --enable-prefix-caching /m --max_batch_size 64 --backend pytorch --model-format hf",
        [
            (
                "serve",
                "deploy",
                {
                    "engine": "pytorch",
                    "model": "/m",
                    "model_format": "auto",
                    "extra": "--enable-prefix-caching --max-batch-size 64",
                },
            )
        ],
        [],
    ),
    (
        "lmdeploy serve api_server /m --adapters a=/x b=/y --tp 2",
        [("serve", "deploy", {"model": "/m", "tp": "2", "extra": "--adapters a=/x b=/y"})],
        [],
    ),
    (
        "lmdeploy serve api_server --adapters a=/x /m",
        [("serve", "deploy", {"model": "/m", "extra": "--adapters a=/x"})],
        [],
    ),
    (
        "lmdeploy serve api_server --api-keys k1 k2 --log-level INFO --model-name me --trust-remote-code --server-name 0.0.0.0 -- /m",
        [
            (
                "serve",
                "deploy",
                {"model": "/m", "model_name": "me", "trust_remote_code": True, "extra": "--log-level INFO"},
            )
        ],
        ["owned", "shell"],
    ),
    (
        'lmdeploy serve api_server /m --hf-overrides \'{"rope_scaling": {"type": "yarn"}}\'',
        [("serve", "deploy", {"model": "/m", "extra": '--hf-overrides \'{"rope_scaling": {"type": "yarn"}}\''})],
        [],
    ),
    (
        "lmdeploy serve api_server /m --cache-max 0.5 --quant-policy int8 --session-len 32,768",
        [
            (
                "serve",
                "deploy",
                {"model": "/m", "cache_max_entry_count": "0.5", "quant_policy": "8", "session_len": "32768"},
            )
        ],
        [],
    ),
    (
        "lmdeploy serve api_server /m --cache-max-entry-count 40% --tp 2。",
        [("serve", "deploy", {"model": "/m", "cache_max_entry_count": "0.4", "tp": "2"})],
        [],
    ),
    (
        "lmdeploy serve api_server /m --cache-max-entry-count 5000 --tp two",
        [("serve", "deploy", {"model": "/m"})],
        ["blocks", "not_whole"],
    ),
    (
        "lmdeploy serve api_server /m --cach-max-entry-count 0.4",
        [("serve", "deploy", {"model": "/m"})],
        ["flag_unknown_near"],
    ),
    (
        "lmdeploy serve api_server /m --model_format llama --trust-remote-code True --port 8000 --host 0.0.0.0",
        [("serve", "deploy", {"model": "/m", "model_format": "auto", "trust_remote_code": True, "port": "8000"})],
        ["owned"],
    ),
    (
        "lmdeploy chat torch /m --temperature 0.8 --cap chat",
        [("serve", "deploy", {"engine": "pytorch", "model": "/m"})],
        ["flag_chat", "flag_gone"],
    ),
    ("lmdeploy serve api_server /m --server-port", [("serve", "deploy", {"model": "/m"})], ["value_missing"]),
    (
        "lmdeploy serve api_server /m --tp --session-len 10",
        [("serve", "deploy", {"model": "/m", "session_len": "10"})],
        ["value_missing"],
    ),
    ("lmdeploy serve api_server 'm", [("serve", "deploy", {"model": "m"})], []),
    ("lmdeploy serve api_server --tp 2", [("serve", "deploy", {"tp": "2"})], []),
    ("lmdeploy serve api_server <model> --tp 2", [("serve", "deploy", {"tp": "2"})], ["placeholder"]),
    ("lmdeploy serve api_server $MODEL_PATH --tp 2", [("serve", "deploy", {"tp": "2"})], ["placeholder"]),
    ("You can use lmdeploy to serve models", [], ["unknown"]),
    ("rm -rf /", [], ["folders"]),
    ("lmdeploy", [], ["unknown"]),
    (
        "lmdeploy\u200b serve api_server /m\xa0--tp\xa02\u2028echo ok",
        [("serve", "deploy", {"model": "/m", "tp": "2"})],
        ["prints"],
    ),
    ("lmdeploy serve api_server /m \\\n  --tp 2\n", [("serve", "deploy", {"model": "/m", "tp": "2"})], []),
    ("lmdeploy serve api_server /m \\   \n  --tp 2", [("serve", "deploy", {"model": "/m", "tp": "2"})], []),
    ("\x1b[32mroot@box\x1b[0m:~# lmdeploy chat /m", [("serve", "deploy", {"model": "/m"})], ["prompt"]),
    (
        "docker run -d --gpus=all --name lm -p 23333:23333 -v /root/models:/root/models --entrypoint lmdeploy openmmlab/lmdeploy:v0.5.3 serve api_server /root/models/x",
        [("serve", "deploy", {"port": "23333", "model": "/root/models/x"})],
        ["docker"],
    ),
    (
        "kubectl exec -it pod -- lmdeploy serve api_server /m --tp 2",
        [("serve", "deploy", {"model": "/m", "tp": "2"})],
        ["before", "wrapper"],
    ),
    ("“lmdeploy serve api_server /m --tp 2”", [("serve", "deploy", {"model": "/m", "tp": "2"})], []),
    (
        "lmdeploy serve api_server /m --tp２ --session-len4096",
        [("serve", "deploy", {"model": "/m", "tp": "2", "session_len": "4096"})],
        [],
    ),
    (
        "python3 -m vllm.entrypoints.openai.api_server --model=/m --served-model-name a --dtype=half --gpu-memory-utilization=0.8",
        [("serve", "deploy", {"model": "/m", "model_name": "a", "dtype": "float16"})],
        ["memory_share"],
    ),
    (
        "lmdeploy serve api_server /m --rope-scaling-factor 2.0 --use-logn-attn",
        [("serve", "deploy", {"model": "/m", "extra": "--rope-scaling-factor 2.0"})],
        ["flag_gone"],
    ),
    (
        "lmdeploy lite auto_awq /m --work-dir ./w4 && lmdeploy chat ./w4 --model-format awq",
        [
            ("lite", "quantize", {"model": "/m", "output": "./w4"}),
            ("serve", "deploy", {"model": "./w4", "model_format": "awq"}),
        ],
        [],
    ),
    (
        "lmdeploy serve api_server /m --tp '2' -- quant-policy \"4\" &> out.log\n",
        [("serve", "deploy", {"model": "/m", "tp": "2", "quant_policy": "4"})],
        ["redirection"],
    ),
    (
        "from lmdeploy import pipeline, TurbomindEngineConfig\n\nmodel = 'OpenGVLab/InternVL2-8B'\npipe = pipeline(model, backend_config=TurbomindEngineConfig(session_len=8192))\nprint(pipe(['hi']))",
        [("serve", "deploy", {"model": "OpenGVLab/InternVL2-8B", "session_len": "8192"})],
        ["code"],
    ),
    (
        "from lmdeploy import pipeline, PytorchEngineConfig, TurbomindEngineConfig\nother = TurbomindEngineConfig(tp=4)\nN = 2\ncfg = PytorchEngineConfig(tp=N,\n   cache_max_entry_count=0.4)\nmodel = '/m/q'\npipe = pipeline(model, backend_config=cfg)",
        [("serve", "deploy", {"engine": "pytorch", "model": "/m/q", "tp": "2", "cache_max_entry_count": "0.4"})],
        ["code"],
    ),
    (
        'lmdeploy serve api_server /m/q \\\n  --chat-template \'{\n  "model_name": "x"\n}\' \\\n  --tp 2',
        [("serve", "deploy", {"model": "/m/q", "tp": "2", "extra": '--chat-template \'{   "model_name": "x" }\''})],
        [],
    ),
    (
        'lmdeploy serve api_server /m/q --chat-template "{\n  \\"model_name\\": \\"x\\"}" --tp 2',
        [("serve", "deploy", {"model": "/m/q", "tp": "2", "extra": '--chat-template \'{   "model_name": "x"}\''})],
        [],
    ),
    (
        'curl http://h:23333/v1/chat/completions \\\n  -d \'{\n  "model": "m",\n  "messages": []\n  }\'\nlmdeploy chat /m',
        [("address", "chat", {"address": "http://h:23333/v1/chat/completions"}), ("serve", "deploy", {"model": "/m"})],
        [],
    ),
    (
        'ssh root@h "cd /root\nlmdeploy serve api_server /m/q --tp 2\n"',
        [("login", "deploy", {"login": 'ssh root@h "cd /root'}), ("serve", "deploy", {"model": "/m/q", "tp": "2"})],
        ["unknown"],
    ),
    (
        'services:\n  lm:\n    image: x\n    command: lmdeploy serve api_server /models/q --server-port 23333\n    ports:\n      - "8000:23333"\n    volumes:\n      - /data/models:/models\n      - cache:/cache\n    environment:\n      - CUDA_VISIBLE_DEVICES=0,1',
        [("serve", "deploy", {"gpus": ["0", "1"], "port": "8000", "model": "/data/models/q"})],
        ["docker", "unknown", "wrapper"],
    ),
    (
        "services:\n  a:\n    volumes: ['./m:/models']\n    environment:\n      CUDA_VISIBLE_DEVICES: '1'\n    command:\n      - lmdeploy\n      - serve\n      - api_server\n      - /models/q\n  b:\n    command: lmdeploy serve api_server /models/r",
        [
            ("serve", "deploy", {"gpus": ["1"], "model": "./m/q"}),
            ("serve", "deploy", {"model": "/models/r"}),
        ],
        ["docker", "unknown", "wrapper"],
    ),
    (
        'command: ["lmdeploy", "serve", "api_server"]\nargs: ["/models/q", "--tp", "2"]',
        [("serve", "deploy", {"model": "/models/q", "tp": "2"})],
        ["wrapper"],
    ),
    (
        "containers:\n- name: a\n  command:\n  - lmdeploy\n  - serve\n  - api_server\n  args:\n  - /models/q\n  - --tp\n  - '2'\n  env:\n  - name: CUDA_VISIBLE_DEVICES\n    value: '0,1'",
        [("serve", "deploy", {"gpus": ["0", "1"], "model": "/models/q", "tp": "2"})],
        ["docker", "unknown"],
    ),
    (
        "entrypoint: ['lmdeploy']\ncommand: ['serve', 'api_server', '/m/q', '--tp', '2']",
        [("serve", "deploy", {"model": "/m/q", "tp": "2"})],
        ["before"],
    ),
    (
        "apptainer exec --nv --bind /data:/m lm.sif lmdeploy serve api_server /m/q",
        [("serve", "deploy", {"model": "/data/q"})],
        ["environment", "wrapper"],
    ),
    (
        "curl localhost:23333/v1/models",
        [("address", "chat", {"address": "http://localhost:23333/v1/models"})],
        [],
    ),
    (
        'from openai import OpenAI\nclient = OpenAI(api_key="x", base_url="http://0.0.0.0:23333/v1")\nthird = OpenAI(\n    base_url="http://h:1/v1",\n)\nother = OpenAI(\n    base_url="http://{ip}:1/v1",\n)',
        [
            ("address", "chat", {"address": "http://0.0.0.0:23333/v1"}),
            ("address", "chat", {"address": "http://h:1/v1"}),
        ],
        ["code"],
    ),
    (
        "export HF_MODEL=internlm/x\nexport HF_HOME=/c\nlmdeploy serve api_server $HF_MODEL --tp 2 --tp 4",
        [("serve", "deploy", {"model": "internlm/x", "tp": "4"})],
        ["hub_variable", "said_again", "variable_left"],
    ),
    (
        "lmdeploy serve api_server /m --tp=2,--quant-policy=8",
        [("serve", "deploy", {"model": "/m", "tp": "2", "quant_policy": "8"})],
        [],
    ),
]
