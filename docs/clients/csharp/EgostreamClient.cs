// Poses of egostream in C# 7, in one file and without a package: ZeroMQ by P/Invoke on libzmq, or a WebSocket.
// Joints are in Unity's axes: left-handed, x right, y up, z forward. In Unity:
//     PoseReceiver poses = new PoseReceiver("tcp://127.0.0.1:5570", "0");       // once; a thread of its own
//     void Update() { Pose pose = poses.Newest(); if (pose != null) Use(pose.Joints[Pose.LeftWrist]); }
// An endpoint that begins with ws:// or wss:// is an `egostream bridge websocket`: joints are in the room then.
// The messages: ../../messages.md and ../../bridges.md.
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Net.WebSockets;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
namespace Egostream {
public sealed class Pose {
    public const int JointCount = 15, Neck = 0, RightWrist = 3, LeftWrist = 6, Version = 1;
    static readonly double[] Unity = { 1, -1, 1 };  // camera axes (x right, y down, z forward) times this
    public string Stream;
    public long Seq, CaptureNs, ClockOffsetNs;
    public double[][] Joints;    // [15][3] metres
    public double[] Confidence;  // [15] 0..1

    // From one message: topic, NUL, msgpack map; or the map alone. Unknown keys are left alone: releases add some.
    public static Pose Read(byte[] message) {
        try {
            int start = message.Length > 0 && message[0] < 128 ? Array.IndexOf(message, (byte)0) + 1 : 0;
            var reader = new MsgpackReader(message, start);
            var map = (Dictionary<string, object>)reader.Read();
            if (!reader.IsAtEnd) throw new InvalidDataException("bytes after the map");
            if ((long)map["v"] != Version) throw new InvalidDataException("message version " + map["v"] + ", not 1");
            bool isScene = map.ContainsKey("axes");  // a bridge's message: it has turned the joints into our axes
            string axes = (string)map[isScene ? "axes" : "frame"];
            if (axes != (isScene ? "unity" : "camera")) throw new InvalidDataException("unknown axes " + axes);
            var joints = ((List<object>)map["joints"]).Select(joint => Numbers(joint, 3)).ToArray();
            if (joints.Length != JointCount) throw new InvalidDataException("not 15 joints");
            return new Pose {
                Stream = (string)map["stream"], Seq = (long)map["seq"],
                CaptureNs = (long)map["t_capture_ns"], ClockOffsetNs = (long)map["clock_offset_ns"],
                Joints = joints.Select(p => isScene ? p : p.Zip(Unity, (v, u) => v * u).ToArray()).ToArray(),
                Confidence = Numbers(map["confidence"], JointCount),
            };
        } catch (Exception error) when (error is InvalidCastException || error is KeyNotFoundException
                                        || error is NullReferenceException || error is ArgumentException) {
            throw new InvalidDataException(error.Message);
        }
    }

    static double[] Numbers(object list, int count) {
        var numbers = ((List<object>)list).Select(value => value is long ? (long)value : (double)value).ToArray();
        if (numbers.Length != count) throw new InvalidDataException(count + " numbers expected, not " + numbers.Length);
        if (numbers.Any(value => double.IsNaN(value) || double.IsInfinity(value)))
            throw new InvalidDataException("a number that is not finite");
        return numbers;
    }

    // Time since capture: by the monotonic clock where it is the publisher's, else by the wall clocks.
    public double AgeMs() {
        double monotonic = Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency);
        long wall = (DateTime.UtcNow - new DateTime(1970, 1, 1, 0, 0, 0, DateTimeKind.Utc)).Ticks * 100;
        bool sameClock = Math.Abs(wall - ClockOffsetNs - monotonic) < 1e9;  // else their clocks began at other times
        return (sameClock ? monotonic - CaptureNs : wall - ClockOffsetNs - CaptureNs) / 1e6;
    }
}

// Reads msgpack into long, double, bool, null, string, byte[], List<object> and Dictionary<string, object>.
public sealed class MsgpackReader {
    readonly byte[] data;
    int at;
    public MsgpackReader(byte[] data, int start) { this.data = data; at = start; }
    public bool IsAtEnd { get { return at == data.Length; } }
    public object Read(int depth = 0) {
        if (depth > 32) throw new InvalidDataException("nested too deep");
        int tag = Take(1)[0];
        if (tag < 0x80) return (long)tag;
        if (tag >= 0xe0) return (long)(sbyte)tag;
        if (tag < 0x90) return Map(tag & 15, depth);
        if (tag < 0xa0) return List(tag & 15, depth);
        if (tag < 0xc0) return Text(tag & 31);
        switch (tag) {
            case 0xc0: return null;
            case 0xc2: case 0xc3: return tag == 0xc3;
            case 0xc4: case 0xc5: case 0xc6: return Take((long)Unsigned(1 << (tag - 0xc4)));
            case 0xc7: case 0xc8: case 0xc9: return Take((long)Unsigned(1 << (tag - 0xc7)) + 1);  // with its type
            case 0xca: return (double)BitConverter.ToSingle(Swapped(4), 0);
            case 0xcb: return BitConverter.ToDouble(Swapped(8), 0);
            case 0xcc: case 0xcd: case 0xce: case 0xcf:
                ulong number = Unsigned(1 << (tag - 0xcc));
                return number <= long.MaxValue ? (object)(long)number : number;
            case 0xd0: case 0xd1: case 0xd2: case 0xd3:
                int unused = 64 - (8 << (tag - 0xd0));
                return (long)(Unsigned(1 << (tag - 0xd0)) << unused) >> unused;
            case 0xd4: case 0xd5: case 0xd6: case 0xd7: case 0xd8: return Take((1 << (tag - 0xd4)) + 1);
            case 0xd9: case 0xda: case 0xdb: return Text((long)Unsigned(1 << (tag - 0xd9)));
            case 0xdc: case 0xdd: return List((long)Unsigned(2 << (tag - 0xdc)), depth);
            case 0xde: case 0xdf: return Map((long)Unsigned(2 << (tag - 0xde)), depth);
            default: throw new InvalidDataException("not msgpack");
        }
    }
    byte[] Take(long count) {
        if (count > data.Length - at) throw new InvalidDataException("cut off");
        at += (int)count;
        byte[] part = new byte[count];
        Array.Copy(data, at - count, part, 0, count);
        return part;
    }
    ulong Unsigned(int count) { return Take(count).Aggregate(0ul, (value, one) => value << 8 | one); }
    byte[] Swapped(int count) { return BitConverter.IsLittleEndian ? Take(count).Reverse().ToArray() : Take(count); }
    string Text(long count) { return new UTF8Encoding(false, true).GetString(Take(count)); }
    // Nothing is reserved for what a message claims to hold, and no nest is deep: garbage costs no memory, no stack.
    List<object> List(long count, int depth) {
        var list = new List<object>();
        while (count-- > 0) list.Add(Read(depth + 1));
        return list;
    }
    Dictionary<string, object> Map(long count, int depth) {
        var map = new Dictionary<string, object>();
        while (count-- > 0) map[Convert.ToString(Read(depth + 1), CultureInfo.InvariantCulture)] = Read(depth + 1);
        return map;
    }
}

// Keeps the newest pose, in a thread of its own. Notes: what there was to say, one line each.
public sealed class PoseReceiver {
    const int Sub = 2, Subscribe = 6, Linger = 17, Conflate = 54, MessageLimit = 1 << 20;
    [DllImport("libzmq")] static extern IntPtr zmq_ctx_new();
    [DllImport("libzmq")] static extern IntPtr zmq_socket(IntPtr context, int type);
    [DllImport("libzmq")] static extern int zmq_setsockopt(IntPtr socket, int option, byte[] value, UIntPtr size);
    [DllImport("libzmq")] static extern int zmq_connect(IntPtr socket, string endpoint);
    [DllImport("libzmq")] static extern int zmq_recv(IntPtr socket, byte[] buffer, UIntPtr size, int flags);
    readonly Action<string> note;
    readonly ManualResetEventSlim came = new ManualResetEventSlim();
    Pose newest;
    long lastSeq = -1;
    public long Missed { get; private set; }  // frames that went by without a pose returned by Newest

    // Throws ArgumentException for an endpoint that is none. Connects again by itself when the publisher restarts.
    public PoseReceiver(string endpoint, string stream, Action<string> note = null) {
        this.note = note ?? (text => { });
        string wish = (endpoint.Contains("?") ? "&" : "?") + "format=msgpack&axes=unity";  // of a bridge
        Uri uri = endpoint.StartsWith("ws") ? new Uri(endpoint + wish) : null;
        ThreadStart loop = uri == null ? FollowZeroMq(endpoint, stream) : () => FollowWebSocket(uri);
        new Thread(loop) { IsBackground = true }.Start();
    }

    // The newest pose not returned before, or null when none came within the wait.
    public Pose Newest(int waitMs = 0) {
        came.Wait(waitMs);
        Pose pose;
        lock (came) { pose = newest; newest = null; came.Reset(); }
        if (pose == null) return null;
        if (pose.Seq > lastSeq && lastSeq >= 0) Missed += pose.Seq - lastSeq - 1;
        if (pose.Seq <= lastSeq) note("the publisher began anew: seq " + pose.Seq + " after " + lastSeq);
        lastSeq = pose.Seq;
        return pose;
    }
    void TakeFirst(byte[] buffer, int count) {
        if (count < 0) return;
        try {
            Pose pose = Pose.Read(buffer.Take(count).ToArray());  // cut off where it is larger than the buffer
            lock (came) { newest = pose; came.Set(); }
        } catch (InvalidDataException error) { note("message skipped: " + error.Message); }
    }
    ThreadStart FollowZeroMq(string endpoint, string stream) {
        IntPtr socket = zmq_socket(zmq_ctx_new(), Sub);
        byte[] topic = Encoding.UTF8.GetBytes("pose/" + stream + "\0");  // with the NUL, or pose/1 also matches pose/10
        zmq_setsockopt(socket, Conflate, BitConverter.GetBytes(1), (UIntPtr)4);  // before connect, or it has no effect
        zmq_setsockopt(socket, Linger, BitConverter.GetBytes(0), (UIntPtr)4);
        zmq_setsockopt(socket, Subscribe, topic, (UIntPtr)topic.Length);
        if (zmq_connect(socket, endpoint) != 0) throw new ArgumentException("ZeroMQ cannot connect to it");
        byte[] buffer = new byte[MessageLimit];
        return () => { while (true) TakeFirst(buffer, zmq_recv(socket, buffer, (UIntPtr)MessageLimit, 0)); };
    }

    void FollowWebSocket(Uri uri) {
        for (string last = "", reason = ""; ; last = reason, Thread.Sleep(500)) {
            try { using (var socket = new ClientWebSocket()) ReadAll(socket, uri); }
            catch (Exception error) { reason = error.GetBaseException().Message; }
            if (reason != last) note("not connected: " + reason);
        }
    }

    void ReadAll(ClientWebSocket socket, Uri uri) {
        socket.ConnectAsync(uri, CancellationToken.None).Wait();
        byte[] buffer = new byte[MessageLimit];
        for (int count = 0; socket.State == WebSocketState.Open;) {
            var rest = new ArraySegment<byte>(buffer, count, buffer.Length - count);
            var part = socket.ReceiveAsync(rest, CancellationToken.None).Result;
            count += part.Count;
            if (!part.EndOfMessage && count < buffer.Length) continue;
            if (part.MessageType != WebSocketMessageType.Close) TakeFirst(buffer, count);
            count = 0;
        }
    }
}
}
